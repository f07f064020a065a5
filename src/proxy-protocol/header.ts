import type { ErrorCode } from '../errors/index.js'
import type { FlowKey } from '../kernel/flow.js'

/**
 * What a balancer in front says of a connection that it passes on, ahead of the client's own bytes. Source of all that
 * is read and written here: The PROXY protocol, versions 1 & 2 (haproxy.org, doc/proxy-protocol.txt).
 */
export interface ProxyHeader {
  /** Of the header itself; the client's bytes follow. */
  readonly headerBytes: number
  /**
   * The client and the address that it connected to, as the balancer saw them, laid out like a flow. Ports may be 0 here.
   * Null where nothing is claimed, so that the connection's own addresses count: LOCAL, UNKNOWN, UNSPEC, UNIX, UDP.
   */
  readonly claimed: FlowKey | null
}

export type ProxyHeaderResult =
  | { readonly kind: 'incomplete' }
  | { readonly kind: 'header'; readonly header: ProxyHeader }
  | { readonly kind: 'bad'; readonly code: ErrorCode; readonly detail: string }

export const incomplete = { kind: 'incomplete' } as const

export const bad = (code: ErrorCode, detail: string): ProxyHeaderResult => ({ kind: 'bad', code, detail })

/** Whether the bytes are a beginning of the signature, or begin with it. */
export function agrees(bytes: Buffer, length: number, signature: Buffer): boolean {
  const end = Math.min(length, signature.length)
  return bytes.compare(signature, 0, end, 0, end) === 0
}
