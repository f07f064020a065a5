import type { ErrorCode } from '../errors/index.js'
import type { FlowKey } from '../kernel/flow.js'
import type { RequestHead } from './request-head.js'

/**
 * The three ways in which a connection leaves the gate. With each the descriptor leaves the gate's epoll set and
 * **belongs to the receiver**, who closes it. Not one byte of the client has been read: what was peeked is still in the
 * queue. A PROXY protocol header, which is the balancer's, has been taken out.
 */

/** The head is whole. */
export interface Arrival<Head = RequestHead> {
  readonly fd: number
  readonly flow: FlowKey
  /** Name of the listener, or of the watch. */
  readonly listener: string
  /** Who a balancer in front says the client is (PROXY protocol); null where none says anything. */
  readonly claimed: FlowKey | null
  readonly head: Head
  /** The bytes seen so far: head and what follows. A view, valid until `onArrivals` returns. */
  readonly bytes: Buffer
  /** Bytes in the receive queue when it was looked at: `bytes.length`, or more where the queue held more. */
  readonly queuedBytes: number
  /**
   * True: the client has closed its side; send the answer, but do not hand the connection over. False says nothing: a
   * FIN that came with the request may not have been seen, or comes in a moment; freezing meets it.
   */
  readonly halfClosed: boolean
  /** performance.now() */
  readonly acceptedAtMs: number
  readonly arrivedAtMs: number
}

/** The client is owed an error. Its unread bytes must be drained after the answer, or closing sends a RST. */
export interface Rejected {
  readonly fd: number
  readonly flow: FlowKey
  readonly listener: string
  readonly claimed: FlowKey | null
  /** 400, 408, 414, 429, 431, 501, 503 or 505. Means nothing to a client that speaks no HTTP: there the code decides. */
  readonly status: number
  readonly code: ErrorCode
  readonly detail: string
  readonly acceptedAtMs: number
}

/** Nobody is there to be answered, or nothing was asked. */
export interface Gone {
  readonly fd: number
  readonly flow: FlowKey
  readonly listener: string
  readonly claimed: FlowKey | null
  /** Closed before the first byte of a head, reset, or silent until the deadline. */
  readonly reason: 'closed' | 'reset' | 'timeout'
  readonly acceptedAtMs: number
}
