import type { ClientHello, RequestHead } from '../gate/index.js'

/** What a connection showed first: a request where it came to an http listener, a ClientHello at a tls listener. */
export type Head = RequestHead | ClientHello

/** True for a connection that goes to its backend whole: nobody between it and the backend can read a request. */
export function isTls(head: Head): head is ClientHello {
  return 'sni' in head
}

/** What the access log says of a head. */
export interface HeadNotes {
  /** Null where no request was read. */
  readonly method: string | null
  readonly path: string | null
  /** Of a TLS connection the server name. */
  readonly host: string | null
}

export function headNotes(head: Head | undefined): HeadNotes {
  if (head === undefined) return { method: null, path: null, host: null }
  if (isTls(head)) return { method: null, path: null, host: head.sni }
  const { method, path, host } = head
  return { method, path, host }
}
