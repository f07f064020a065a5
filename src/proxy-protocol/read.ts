import { agrees, bad, incomplete, type ProxyHeaderResult } from './header.js'
import { readVersion1, version1Signature } from './version1.js'
import { readVersion2, version2Signature } from './version2.js'

/** No header is larger: a receiver must take 536 bytes, nginx takes as many as this. */
export const MAX_PROXY_HEADER_BYTES = 4096

/**
 * Reads a PROXY protocol header of either version, strictly, at the start of a stream. Bytes behind it are not looked
 * at. What is no header is told by the first byte that does not fit.
 *
 * @param bytes the first bytes of the stream; `length` of them count
 * @param maxBytes at most {@link MAX_PROXY_HEADER_BYTES}, and no more than can be looked at at once
 */
export function readProxyHeader(bytes: Buffer, length: number, maxBytes: number): ProxyHeaderResult {
  if (length === 0) return incomplete
  if (agrees(bytes, length, version2Signature)) {
    return readVersion2(bytes, length, Math.min(maxBytes, MAX_PROXY_HEADER_BYTES))
  }
  if (agrees(bytes, length, version1Signature)) return readVersion1(bytes, length)
  return bad('BATON_PROXY_MISSING', '')
}
