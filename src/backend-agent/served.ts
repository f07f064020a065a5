import type { Duplex } from 'node:stream'
import type { CloseCause, Closed, Offer } from '../handoff/index.js'
import { type FlowKey, flowId } from '../kernel/flow.js'
import type { HttpSession } from './http-session.js'
import type { Answers } from './observation.js'
import type { SessionSocket } from './session-socket.js'

/** What is known of an adopted connection before it has a socket. */
export interface Adoption {
  /** Id of the frontend that gave it. */
  readonly frontendId: string
  readonly offer: Offer
}

const clientErrors = new Set(['ECONNRESET', 'EPIPE', 'ETIMEDOUT'])

/** One adopted connection, from its restore to its end. */
export class Served {
  /** The frontend that steers it here: the one that gave it, or one that claimed it since. */
  frontendId: string
  readonly id: number
  readonly flow: FlowKey
  readonly flowId: string
  readonly listener: string
  readonly pool: string
  /** Who a balancer in front of the frontend says the client is; null where the flow's own client counts. */
  readonly claimed: FlowKey | null
  readonly context: Buffer
  readonly socket: SessionSocket
  /** Set by the delivery when an http server serves it. */
  session: HttpSession | undefined
  /** What another server's requests were, where it tells of them. */
  readonly answers: Answers = { requests: 0, status: 0 }
  readonly #adoptedAtMs = performance.now()
  #cause: CloseCause | undefined

  /** @param onEnd once, when the socket is closed, and was not moved */
  constructor({ frontendId, offer }: Adoption, socket: SessionSocket, onEnd: (served: Served) => void) {
    this.frontendId = frontendId
    this.id = offer.id
    this.flow = offer.snapshot.flow
    this.flowId = flowId(offer.snapshot.flow)
    this.listener = offer.listener
    this.pool = offer.pool
    this.claimed = offer.claimed
    this.context = offer.context
    this.socket = socket
    this.watch(socket)
    socket.on('close', () => {
      if (this.session?.state !== 'left') onEnd(this)
    })
  }

  /** Learns from a socket who ended it: from its own, or from the one that stands above it for TLS. */
  watch(socket: Duplex): void {
    socket.on('error', (error: NodeJS.ErrnoException) => this.brokenBy(error))
    // Who spoke the first FIN: an `end` before ours is the client's.
    socket.on('end', () => {
      if (!socket.writableEnded) this.endsBy('client')
    })
  }

  brokenBy({ code = '' }: NodeJS.ErrnoException): void {
    this.endsBy(clientErrors.has(code) ? 'client' : 'error')
  }

  /** The first cause that is named counts. */
  endsBy(cause: CloseCause): void {
    this.#cause ??= cause
  }

  /** The record of the connection as it stands. @param cause overrides what has been noted */
  closed(cause?: CloseCause): Closed {
    const { socket, session } = this
    const { requests, status } = session ?? this.answers
    const noted = cause ?? this.#cause ?? (session?.timedOut === true ? 'timeout' : 'backend')
    return {
      type: 'closed',
      id: this.id,
      flow: this.flow,
      bytesIn: socket.bytesRead,
      bytesOut: socket.bytesWritten,
      durationMs: Math.round(performance.now() - this.#adoptedAtMs),
      cause: noted,
      requests,
      status,
      context: this.context,
    }
  }
}
