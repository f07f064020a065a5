import { type ProxyHeader, readProxyHeader } from '../proxy-protocol/index.js'
import { type BadHead, bad, type HeadResult } from './head-result.js'
import type { GoneVerdict, Sight } from './judge.js'

/** What one look at a connection means whose PROXY protocol header is due. */
export function judgeHeader(sight: Sight, maxHeadBytes: number): HeadResult<ProxyHeader> | GoneVerdict {
  if (sight.length < 0 || sight.hungUp) return { kind: 'gone', reason: 'reset' }
  const result = readProxyHeader(sight.bytes, sight.length, maxHeadBytes)
  if (result.kind === 'bad') return bad(result.code, result.detail)
  if (result.kind === 'header') return { kind: 'head', head: result.header }
  if (!sight.halfClosed) return result
  return sight.length === 0 ? { kind: 'gone', reason: 'closed' } : bad('BATON_PROXY_CUT', '')
}

/** Who never sends a header is as wrong as who sends half of one. */
export function headerTimeout(): BadHead {
  return bad('BATON_PROXY_TIMEOUT', '')
}

/** What is left of a look once the header has been taken out. */
export function behindHeader(sight: Sight, headerBytes: number): Sight {
  return {
    ...sight,
    bytes: sight.bytes.subarray(headerBytes),
    length: sight.length - headerBytes,
    queuedBytes: sight.queuedBytes - headerBytes,
  }
}
