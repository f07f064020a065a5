import { type BadHead, bad, incomplete } from './head-result.js'

const HANDSHAKE = 22
const CLIENT_HELLO = 1
const RECORD_HEADER_BYTES = 5
const MESSAGE_HEADER_BYTES = 4
/** RFC 8446, 5.1: of a record that is not encrypted. */
const MAX_FRAGMENT_BYTES = 1 << 14

/** The client's first handshake message, put together from its records. */
export interface FirstMessage {
  readonly kind: 'message'
  /** Without its header: a view of the one record that holds it, or a copy of the pieces. */
  readonly body: Buffer
  /** Bytes of the records that hold it. */
  readonly headBytes: number
}

/**
 * Reads the records (RFC 8446, 5.1) that carry one ClientHello message, and no more:
 *
 *     record   │ 22 │ 3 │ x │ length  │ fragment …           the header again before each fragment
 *     message                         │ 1 │ length of body (24 bits) │ body … │
 *
 * A record may end anywhere in the message, its header included. The message must end where a record ends.
 */
export function readFirstMessage(
  bytes: Buffer,
  length: number,
  maxHeadBytes: number,
): FirstMessage | BadHead | typeof incomplete {
  const fragments: Buffer[] = []
  let gathered = 0
  let wanted = MESSAGE_HEADER_BYTES
  let at = 0
  for (;;) {
    const wrong = recordMistake(bytes, at, length)
    if (wrong !== undefined) return wrong
    if (at + RECORD_HEADER_BYTES > length) return unfinished(at + RECORD_HEADER_BYTES, maxHeadBytes)
    const start = at + RECORD_HEADER_BYTES
    const end = start + bytes.readUInt16BE(at + 3)
    const fragment = bytes.subarray(start, Math.min(end, length))
    fragments.push(fragment)
    const before = gathered
    gathered += fragment.length
    if (before === 0 && fragment.length > 0 && fragment[0] !== CLIENT_HELLO) {
      return bad('BATON_GATE_TLS_RECORD', `Handshake message ${fragment[0]} is no ClientHello.`)
    }
    if (before < MESSAGE_HEADER_BYTES && gathered >= MESSAGE_HEADER_BYTES) {
      wanted = MESSAGE_HEADER_BYTES + bodyBytes(fragments)
      // The rest of it takes as many bytes at least.
      if (start - before + wanted > maxHeadBytes) return tooLarge(maxHeadBytes)
    }
    if (end > length) return unfinished(end, maxHeadBytes)
    if (gathered > wanted) return bad('BATON_GATE_TLS_HELLO', 'Its record goes on after it.')
    if (gathered === wanted && wanted > MESSAGE_HEADER_BYTES) {
      if (end > maxHeadBytes) return tooLarge(maxHeadBytes)
      const [only = fragment, ...more] = fragments
      const message = more.length === 0 ? only : Buffer.concat(fragments, gathered)
      return { kind: 'message', body: message.subarray(MESSAGE_HEADER_BYTES), headBytes: end }
    }
    if (gathered >= MESSAGE_HEADER_BYTES && wanted === MESSAGE_HEADER_BYTES) {
      return bad('BATON_GATE_TLS_HELLO', 'It is empty.')
    }
    at = end
  }
}

/** What is wrong with as much of a record's header as is there. */
function recordMistake(bytes: Buffer, at: number, length: number): BadHead | undefined {
  if (at < length && bytes[at] !== HANDSHAKE) {
    // An SSLv2 ClientHello: two bytes of length with the highest bit set, then its type (RFC 5246, E.2).
    if (at === 0 && length > 2 && (bytes[0]! & 0x80) !== 0 && bytes[2] === CLIENT_HELLO) {
      return bad('BATON_GATE_TLS_VERSION', 'It is a hello of SSL 2.')
    }
    return bad('BATON_GATE_TLS_RECORD', `Byte ${at} is ${bytes[at]}.`)
  }
  if (at + 1 < length && bytes[at + 1] !== 3) {
    return bad('BATON_GATE_TLS_RECORD', `The record's version begins with ${bytes[at + 1]}.`)
  }
  if (at + RECORD_HEADER_BYTES > length) return undefined
  const fragmentBytes = bytes.readUInt16BE(at + 3)
  if (fragmentBytes === 0) return bad('BATON_GATE_TLS_RECORD', 'A record is empty.')
  if (fragmentBytes > MAX_FRAGMENT_BYTES) {
    return bad('BATON_GATE_TLS_RECORD', `A record has ${fragmentBytes} bytes.`)
  }
  return undefined
}

/** The 24 bits after the message's type, which may lie in several fragments. */
function bodyBytes(fragments: readonly Buffer[]): number {
  let value = 0
  let index = 0
  for (const fragment of fragments) {
    for (const byte of fragment) {
      if (index > 0) value = value * 256 + byte
      if (++index === MESSAGE_HEADER_BYTES) return value
    }
  }
  return value
}

/** @param needed the bytes without which it cannot be read */
function unfinished(needed: number, maxHeadBytes: number): BadHead | typeof incomplete {
  return needed > maxHeadBytes ? tooLarge(maxHeadBytes) : incomplete
}

function tooLarge(maxHeadBytes: number): BadHead {
  return bad('BATON_GATE_TLS_TOO_LARGE', `The limit is ${maxHeadBytes} bytes.`)
}
