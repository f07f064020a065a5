import { type BadHead, bad, type HeadReader, type HeadResult } from './head-result.js'

/** One look at a connection. */
export interface Sight {
  readonly bytes: Buffer
  /** Bytes peeked, or the negative errno with which the peek failed. */
  readonly length: number
  /** Bytes in the receive queue, peeked or not. */
  readonly queuedBytes: number
  /** The client has closed its side. */
  readonly halfClosed: boolean
  /** The connection is broken. */
  readonly hungUp: boolean
}

export interface GoneVerdict {
  readonly kind: 'gone'
  readonly reason: 'closed' | 'reset' | 'timeout'
}

export type Verdict<Head> = HeadResult<Head> | GoneVerdict

/** What one look means. @param from bytes that the reader found incomplete before */
export function judge<Head>(
  sight: Sight,
  readHead: HeadReader<Head>,
  maxHeadBytes: number,
  from: number,
): Verdict<Head> {
  if (sight.length < 0 || sight.hungUp) return { kind: 'gone', reason: 'reset' }
  const result = readHead(sight.bytes, sight.length, maxHeadBytes, from)
  if (result.kind !== 'incomplete' || !sight.halfClosed) return result
  return sight.length === 0 ? { kind: 'gone', reason: 'closed' } : bad('BATON_GATE_HEAD_CUT', '')
}

/** What a passed deadline means: an answer is owed only to who has begun to ask. @param seen bytes of a head */
export function judgeTimeout(seen: number): BadHead | GoneVerdict {
  return seen > 0 ? bad('BATON_GATE_HEAD_TIMEOUT', '') : { kind: 'gone', reason: 'timeout' }
}
