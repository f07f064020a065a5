import { sameAuthority } from './authority.js'
import { CR, classOf, LF, VALUE } from './characters.js'
import { type Fields, readFields } from './fields.js'
import { type BadHead, bad, type HeadResult, incomplete } from './head-result.js'
import { type RequestLine, readRequestLine } from './request-line.js'

/** What routing and framing need of an HTTP/1 request head. The bytes themselves are forwarded as they came. */
export interface RequestHead {
  readonly method: string
  /** As it was sent. */
  readonly target: string
  /**
   * The path to compare with routes: without query, normalised by {@link routePath} so that no spelling gets round a
   * prefix. `*` for OPTIONS *. The path as it was sent is in `target`.
   */
  readonly path: string
  /** Lower case, without port and trailing dot; an IPv6 address in brackets; null when absent or empty. */
  readonly host: string | null
  readonly httpVersion: '1.0' | '1.1'
  /** With the empty line, and with the one empty line that may stand before. */
  readonly headBytes: number
  /** Null without Content-Length; then the body is chunked or empty. */
  readonly contentLength: number | null
  readonly chunked: boolean
  /** The client waits for 100 Continue before it sends the body. Always false in HTTP/1.0. */
  readonly expectContinue: boolean
  /** Whether the client wants the connection to go on after the response. */
  readonly keepAlive: boolean
  /**
   * The Upgrade field in lower case, where Connection names it. In HTTP/1.0 too, where a server must ignore it and some
   * do not: what follows may not be HTTP.
   */
  readonly upgrade: string | null
}

/**
 * Reads an HTTP/1.0 or 1.1 request head, strictly (RFC 9112, RFC 9110). What is accepted has exactly one meaning to
 * every server: what could be framed or routed in two ways is refused. Bytes behind the head are not looked at.
 *
 * With `from` above 0 nothing is read again before a line ends, so a head that comes byte by byte is read a few times
 * per line and not once per byte; what is wrong in the middle of a line is then told at its end.
 */
export function readRequestHead(
  bytes: Buffer,
  length: number,
  maxHeadBytes: number,
  from = 0,
): HeadResult<RequestHead> {
  const end = Math.min(length, maxHeadBytes)
  const full = length >= maxHeadBytes
  if (from > 0 && !full && insideLine(bytes, from - 1, end)) return incomplete
  let start = 0
  if (end > 0 && (bytes[0] === CR || bytes[0] === LF)) {
    if (bytes[0] === CR && end === 1) return full ? tooLong() : incomplete
    const another = end > 2 && (bytes[2] === CR || bytes[2] === LF)
    if (bytes[0] === LF || bytes[1] !== LF || another) return bad('BATON_GATE_LINE_END', 'At the very start.')
    start = 2
  }
  const line = readRequestLine(bytes, start, end)
  if (line.kind === 'bad') return line
  if (line.kind === 'incomplete') return full ? tooLong() : line
  const fields = readFields(bytes, line.end, end)
  if (fields.kind === 'bad') return fields
  if (fields.kind === 'incomplete') {
    return full ? bad('BATON_GATE_HEAD_TOO_LARGE', `The limit is ${maxHeadBytes} bytes.`) : fields
  }
  return conclude(line, fields)
}

/** Whether no line ends, and nothing breaks one, in these bytes. */
function insideLine(bytes: Buffer, start: number, end: number): boolean {
  let at = start
  while (at < end && classOf[bytes[at]!]! & VALUE) at++
  return at === end
}

function tooLong(): BadHead {
  return bad('BATON_GATE_TARGET_TOO_LONG', '')
}

/** What the lines mean together. */
function conclude(line: RequestLine, fields: Fields): HeadResult<RequestHead> {
  const modern = line.httpVersion === '1.1'
  if (modern && !fields.authority) return bad('BATON_GATE_HOST', 'It is missing.')
  if (
    line.authority &&
    fields.authority &&
    !sameAuthority(line.authority, fields.authority, line.defaultPort)
  ) {
    return bad('BATON_GATE_HOST', 'It differs from the target.')
  }
  const refused = fields.transferEncoding === null ? undefined : judgeCodings(fields, modern)
  if (refused) return refused
  const connection = fields.connection
  const close = connection.includes(',close,')
  const keepAlive = connection.includes(',keep-alive,')
  // In HTTP/1.1 close wins everywhere; in 1.0 servers disagree.
  if (!modern && close && keepAlive) return bad('BATON_GATE_FIELD', 'Connection says keep-alive and close.')
  return {
    kind: 'head',
    head: {
      method: line.method,
      target: line.target,
      path: line.path,
      host: (line.authority ?? fields.authority)?.host ?? null,
      httpVersion: line.httpVersion,
      headBytes: fields.end,
      contentLength: fields.contentLength,
      chunked: fields.transferEncoding !== null,
      expectContinue: modern && fields.expectContinue,
      keepAlive: !close && (modern || keepAlive),
      upgrade: connection.includes(',upgrade,') ? fields.upgrade || null : null,
    },
  }
}

/** RFC 9112, 6.1 and 6.3: chunked, once, alone, in HTTP/1.1, without Content-Length. */
function judgeCodings(fields: Fields, modern: boolean): BadHead | undefined {
  const codings = (fields.transferEncoding ?? '')
    .split(',')
    .map((coding) => coding.replace(/^[ \t]+|[ \t]+$/g, ''))
  const chunked = codings.filter((coding) => coding === 'chunked').length
  if (!modern) return bad('BATON_GATE_TRANSFER_ENCODING', 'HTTP/1.0 has none.')
  if (fields.contentLength !== null)
    return bad('BATON_GATE_TRANSFER_ENCODING', 'Content-Length is there too.')
  if (chunked > 1) return bad('BATON_GATE_TRANSFER_ENCODING', 'Chunked is repeated.')
  if (codings.at(-1) !== 'chunked')
    return bad('BATON_GATE_TRANSFER_ENCODING', 'Chunked is not the last coding.')
  if (codings.includes('')) return bad('BATON_GATE_TRANSFER_ENCODING', 'The list has an empty element.')
  if (codings.length > 1) return bad('BATON_GATE_TRANSFER_CODING', codings[0] ?? '')
  return undefined
}
