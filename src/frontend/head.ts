import type { Protocol } from '../config/index.js'
import type { ClientHello, CustomHead, NoHead, RequestHead } from '../gate/index.js'

/** What a connection that goes to its backend whole showed first: nobody between them reads a request. */
export type WholeHead = ClientHello | NoHead | CustomHead

/**
 * What a connection showed first: a request at an http listener, a ClientHello at a tls listener, nothing at a tcp one, and
 * at a custom one what the program's own reader found.
 */
export type Head = RequestHead | WholeHead

export function isWhole(head: Head): head is WholeHead {
  return 'kind' in head
}

/** What the client speaks. */
export function protocolOf(head: Head): Protocol {
  return isWhole(head) ? head.kind : 'http'
}

/** What an agent must be able to take to get this connection: requests, or bytes of whatever protocol. */
export function speaks(head: Head): 'http' | 'bytes' {
  return isWhole(head) ? 'bytes' : 'http'
}

/** What the access log says of a head. */
export interface HeadNotes {
  /** Null where no request was read. */
  readonly method: string | null
  readonly path: string | null
  /** Of a TLS connection the server name. */
  readonly host: string | null
}

const noNotes: HeadNotes = { method: null, path: null, host: null }

export function headNotes(head: Head | undefined): HeadNotes {
  if (head === undefined) return noNotes
  if (!isWhole(head)) {
    const { method, path, host } = head
    return { method, path, host }
  }
  switch (head.kind) {
    case 'tls':
      return { ...noNotes, host: head.sni }
    case 'custom':
      return { ...noNotes, path: head.key }
    case 'tcp':
      return noNotes
    default:
      return head satisfies never
  }
}
