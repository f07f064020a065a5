import { copyOf } from '../kernel/bytes.js'
import type { ClientFields } from '../telemetry/index.js'

/**
 * The frontend's notes about a connection, for its access log: they travel in OFFER.context and come back in CLOSED
 * (docs/decisions/0006), so that a frontend keeps nothing per connection that it handed over, and one that was
 * restarted in between still writes the line. Where nobody reads records no notes are taken.
 */
export interface Notes {
  /** When the connection was accepted, ms since the epoch. */
  readonly acceptedAt: number
  readonly listener: string
  /** ADDRESS:PORT of the client, as a balancer in front says it; null without one: then it is the flow's. */
  readonly client: string | null
  /** Null of a TLS or TCP connection; of TLS, host is the server name. */
  readonly method: string | null
  /** Without the query, cut at {@link MAX_PATH_CHARS}; null of a TLS or TCP connection. */
  readonly path: string | null
  readonly host: string | null
  /** Index of the route that matched. */
  readonly route: number
  readonly pool: string
  readonly backend: string
  /** From accept to the whole head, in ms. */
  readonly headMs: number
  /** From the whole head to the offer, in ms. */
  readonly chooseMs: number
  readonly clientFields?: ClientFields | undefined
}

const MAX_PATH_CHARS = 512
/** Notes with the client's fields that would be longer go without these. */
const MAX_BYTES = 4096

/*
 * Layout, integers big-endian: 0xb7, version · acceptedAt (high, low u32) · route u16 · headMs, chooseMs as u32 of µs ·
 * listener, client, method, path, host, pool, backend · and where there are any, the client's httpVersion, referer, userAgent.
 * A text is its length in bytes (u16; 0xffff: null) and UTF-8. Written byte by byte, since this is done for each connection,
 * and JSON.stringify and Buffer.from cost 20 µs where they come to cold caches.
 */
const MARK = 0xb7
const VERSION = 1
const FIXED_BYTES = 20
const NULL = 0xffff
const SMALL_TEXTS = 7
const MORE_TEXTS = 10

/** More than any notes take: seven names and numbers, a path of MAX_PATH_CHARS, and what decodes from a head's fields. */
const scratch = Buffer.allocUnsafeSlow(64 * 1024)

export function encodeNotes(notes: Notes): Buffer {
  scratch[0] = MARK
  scratch[1] = VERSION
  scratch.writeUInt32BE(Math.floor(notes.acceptedAt / 0x1_0000_0000), 2)
  scratch.writeUInt32BE(notes.acceptedAt % 0x1_0000_0000, 6)
  scratch[10] = notes.route >>> 8
  scratch[11] = notes.route
  scratch.writeUInt32BE(micros(notes.headMs), 12)
  scratch.writeUInt32BE(micros(notes.chooseMs), 16)
  const { path, clientFields } = notes
  let at = putText(FIXED_BYTES, notes.listener)
  at = putText(at, notes.client)
  at = putText(at, notes.method)
  at = putText(at, path !== null && path.length > MAX_PATH_CHARS ? path.slice(0, MAX_PATH_CHARS) : path)
  at = putText(at, notes.host)
  at = putText(at, notes.pool)
  at = putText(at, notes.backend)
  if (clientFields !== undefined) {
    let end = putText(at, clientFields.httpVersion)
    end = putText(end, clientFields.referer)
    end = putText(end, clientFields.userAgent)
    if (end <= MAX_BYTES) at = end
  }
  return copyOf(scratch, 0, at)
}

/** A text over MAX_BYTES is none. @returns the offset behind it */
function putText(at: number, text: string | null): number {
  if (text === null) return scratch.writeUInt16BE(NULL, at)
  const start = at + 2
  const { length } = text
  if (length > MAX_BYTES) return scratch.writeUInt16BE(NULL, at)
  for (let index = 0; index < length; index++) {
    const code = text.charCodeAt(index)
    if (code > 127) {
      const bytes = scratch.write(text, start)
      scratch.writeUInt16BE(bytes, at)
      return start + bytes
    }
    scratch[start + index] = code
  }
  scratch.writeUInt16BE(length, at)
  return start + length
}

/** Microseconds, as far as 32 bits go: more than an hour. */
function micros(ms: number): number {
  return Math.min(0xffff_ffff, Math.max(0, Math.round(ms * 1000)))
}

function isAscii(context: Buffer): boolean {
  let at = FIXED_BYTES
  // The lengths of texts are below 128 mostly, and 0xff where there is none.
  while (at < context.length && (context[at]! < 128 || context[at] === 0xff)) at++
  return at === context.length
}

/** Undefined when the bytes are not ours: they came back over the wire. */
export function decodeNotes(context: Buffer): Notes | undefined {
  if (context.length < FIXED_BYTES || context[0] !== MARK || context[1] !== VERSION) return undefined
  const texts: (string | null)[] = []
  // Where all is ASCII, one text in one go, and the others are parts of it.
  const ascii = isAscii(context) ? context.toString('latin1') : undefined
  let at = FIXED_BYTES
  while (at < context.length) {
    if (at + 2 > context.length) return undefined
    const length = context.readUInt16BE(at)
    at += 2
    if (length === NULL) {
      texts.push(null)
      continue
    }
    if (at + length > context.length) return undefined
    texts.push(ascii?.slice(at, at + length) ?? context.toString('utf8', at, at + length))
    at += length
  }
  if (texts.length !== SMALL_TEXTS && texts.length !== MORE_TEXTS) return undefined
  const [listener, client, method, path, host, pool, backend, httpVersion, referer, userAgent] = texts
  if (
    typeof listener !== 'string' ||
    client === undefined ||
    method === undefined ||
    path === undefined ||
    host === undefined ||
    typeof pool !== 'string' ||
    typeof backend !== 'string'
  ) {
    return undefined
  }
  const acceptedAt = context.readUInt32BE(2) * 0x1_0000_0000 + context.readUInt32BE(6)
  const route = context.readUInt16BE(10)
  const headMs = context.readUInt32BE(12) / 1000
  const chooseMs = context.readUInt32BE(16) / 1000
  const notes = { acceptedAt, listener, client, method, path, host, route, pool, backend, headMs, chooseMs }
  if (texts.length === SMALL_TEXTS) return notes
  if (typeof httpVersion !== 'string' || referer === undefined || userAgent === undefined) return undefined
  return { ...notes, clientFields: { httpVersion, referer, userAgent } }
}
