import { type ErrorCode, type ErrorDefinition, errorRegistry } from '../errors/index.js'

/** What a head reader makes of the bytes that have arrived. */
export type HeadResult<Head> =
  | { readonly kind: 'incomplete' }
  | { readonly kind: 'head'; readonly head: Head }
  | BadHead

/** A head that is refused; `status` is what the client is to be told. */
export interface BadHead {
  readonly kind: 'bad'
  readonly status: number
  readonly code: ErrorCode
  readonly detail: string
}

/**
 * Reads the head of what a client says first. Must be pure: it sees the same bytes again, and more, after each arrival.
 *
 * @param bytes the first bytes of the stream; `length` of them count
 * @param maxHeadBytes a head may have as many; it must answer `bad` rather than `incomplete` once `length` reaches it
 * @param from how many of these bytes it has seen before and found incomplete; 0 at first sight
 */
export type HeadReader<Head> = (
  bytes: Buffer,
  length: number,
  maxHeadBytes: number,
  from?: number,
) => HeadResult<Head>

export const incomplete = { kind: 'incomplete' } as const

/** A refusal with the status that the registry gives to its code. */
export function bad(code: ErrorCode, detail: string): BadHead {
  const row: ErrorDefinition = errorRegistry[code]
  return { kind: 'bad', status: row.httpStatus ?? 400, code, detail }
}
