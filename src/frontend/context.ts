import { type ClientFields, jsonText } from '../telemetry/index.js'

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
const FIELDS = 11
/** With the client's fields at the end. */
const MORE_FIELDS = 14
/** Notes with the client's fields that would be longer go without these. */
const MAX_BYTES = 4096

export function encodeNotes(notes: Notes): Buffer {
  const path = jsonText(notes.path?.slice(0, MAX_PATH_CHARS) ?? null)
  const request = `${jsonText(notes.listener)},${jsonText(notes.client)},${jsonText(notes.method)},${path},${jsonText(notes.host)}`
  const place = `${notes.route},${jsonText(notes.pool)},${jsonText(notes.backend)}`
  const row = `${notes.acceptedAt},${request},${place},${micros(notes.headMs)},${micros(notes.chooseMs)}`
  if (notes.clientFields === undefined) return Buffer.from(`[${row}]`)
  const { httpVersion, referer, userAgent } = notes.clientFields
  const more = `${jsonText(httpVersion)},${jsonText(referer)},${jsonText(userAgent)}`
  const whole = Buffer.from(`[${row},${more}]`)
  return whole.length > MAX_BYTES ? Buffer.from(`[${row}]`) : whole
}

/** Milliseconds to three digits. */
function micros(ms: number): number {
  return Math.round(ms * 1000) / 1000
}

/** Undefined when the bytes are not ours: they came back over the wire. */
export function decodeNotes(context: Buffer): Notes | undefined {
  if (context.length === 0) return undefined
  let row: unknown
  try {
    row = JSON.parse(context.toString())
  } catch {
    return undefined
  }
  if (!Array.isArray(row) || (row.length !== FIELDS && row.length !== MORE_FIELDS)) return undefined
  const fields: readonly unknown[] = row
  const [acceptedAt, listener, client, method, path, host, route, pool, backend, headMs, chooseMs] = fields
  if (
    typeof acceptedAt !== 'number' ||
    typeof listener !== 'string' ||
    (typeof client !== 'string' && client !== null) ||
    (typeof method !== 'string' && method !== null) ||
    (typeof path !== 'string' && path !== null) ||
    (typeof host !== 'string' && host !== null) ||
    typeof route !== 'number' ||
    typeof pool !== 'string' ||
    typeof backend !== 'string' ||
    typeof headMs !== 'number' ||
    typeof chooseMs !== 'number'
  ) {
    return undefined
  }
  const notes = { acceptedAt, listener, client, method, path, host, route, pool, backend, headMs, chooseMs }
  if (row.length === FIELDS) return notes
  const clientFields = decodeClientFields(fields.slice(FIELDS))
  return clientFields && { ...notes, clientFields }
}

function decodeClientFields([httpVersion, referer, userAgent]: readonly unknown[]): ClientFields | undefined {
  if (
    typeof httpVersion !== 'string' ||
    (typeof referer !== 'string' && referer !== null) ||
    (typeof userAgent !== 'string' && userAgent !== null)
  ) {
    return undefined
  }
  return { httpVersion, referer, userAgent }
}
