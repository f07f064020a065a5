import { type ServerResponse, STATUS_CODES } from 'node:http'

/** The statuses that Baton itself answers with. */
export type AnswerStatus = 400 | 404 | 408 | 413 | 414 | 421 | 429 | 431 | 500 | 501 | 502 | 503 | 504 | 505

export interface AnswerOptions {
  /** Seconds for Retry-After. Default: 1 for 429 and 503, none for the rest. */
  readonly retryAfterSeconds?: number
  /** True leaves the body away but not its length (RFC 9110, section 9.3.2). Default false. */
  readonly head?: boolean
  /** Adds a word for the operator to the body, for example an error code. */
  readonly code?: string
}

interface Parts {
  readonly reason: string
  readonly body: string
  readonly fields: readonly string[]
}

function parts(status: AnswerStatus, options: AnswerOptions): Parts {
  const reason = STATUS_CODES[status] ?? 'Error'
  const body =
    options.code === undefined ? `${status} ${reason}\n` : `${status} ${reason} (${options.code})\n`
  const fields = [
    'Content-Type',
    'text/plain; charset=utf-8',
    'Content-Length',
    String(Buffer.byteLength(body)),
  ]
  const retryAfter = options.retryAfterSeconds ?? (status === 503 || status === 429 ? 1 : undefined)
  if (retryAfter !== undefined) fields.push('Retry-After', String(retryAfter))
  // Nobody may keep what was said because of a passing trouble (RFC 9111, section 4.2.2 lets 404 and 501 be kept).
  fields.push('Cache-Control', 'no-store')
  return { reason, body, fields }
}

/**
 * A whole answer as bytes, for a socket without an HTTP server: with Date and `Connection: close`; the caller sends
 * it, then closes.
 */
export function rawAnswer(status: AnswerStatus, options: AnswerOptions = {}): Buffer {
  const { reason, body, fields } = parts(status, options)
  let text = `HTTP/1.1 ${status} ${reason}\r\nDate: ${new Date().toUTCString()}\r\n`
  for (let index = 0; index < fields.length; index += 2) text += `${fields[index]}: ${fields[index + 1]}\r\n`
  return Buffer.from(`${text}Connection: close\r\n\r\n${options.head ? '' : body}`, 'latin1')
}

/** After these the place in the byte stream is lost, or nothing more is wanted from this client. */
const closing: ReadonlySet<AnswerStatus> = new Set([400, 408, 413, 414, 431, 505])

/**
 * Answers through an HTTP server. When the head of another answer is out already, the connection is destroyed
 * instead: an answer cut short must never look whole.
 * @param options.close ends the connection after the answer. Default: true where the place in the byte stream is lost
 *   (400, 408, 413, 414, 431, 505); else the rest of the request is read away, since closing with unread bytes would send
 *   RST, and that can take the answer out of the client's hands
 */
export function answer(
  response: ServerResponse,
  status: AnswerStatus,
  options: AnswerOptions & { readonly close?: boolean } = {},
): void {
  if (response.headersSent || response.writableEnded) {
    response.destroy()
    return
  }
  const { reason, body, fields } = parts(status, options)
  const close = options.close ?? closing.has(status)
  response.writeHead(status, reason, close ? [...fields, 'Connection', 'close'] : [...fields])
  response.end(response.req.method === 'HEAD' ? undefined : body)
}

/** What a request deserves that Node's parser gave up: by the code of 'clientError'. */
export function parserStatus(code: string | undefined): AnswerStatus {
  switch (code) {
    case 'HPE_HEADER_OVERFLOW':
      return 431
    case 'HPE_CHUNK_EXTENSIONS_OVERFLOW':
      return 413
    case 'HPE_INVALID_VERSION':
      return 505
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return 408
    default:
      return 400
  }
}
