import { type Authority, readAuthority } from './authority.js'
import {
  BACKSLASH,
  CR,
  classOf,
  DOT,
  LF,
  PERCENT,
  QUESTION,
  SLASH,
  SPACE,
  TARGET,
  TOKEN,
} from './characters.js'
import { type BadHead, bad, incomplete } from './head-result.js'
import { routePath } from './route-path.js'

/** RFC 9112, section 3: `method SP request-target SP HTTP-version CRLF`. */
export interface RequestLine {
  readonly kind: 'line'
  readonly method: string
  readonly target: string
  /** Of the target, as {@link routePath} makes it; `*` for the asterisk-form. */
  readonly path: string
  /** Of a target in absolute-form. */
  readonly authority: Authority | null
  readonly defaultPort: string
  readonly httpVersion: '1.0' | '1.1'
  /** Offset of the first field line. */
  readonly end: number
}

/** Longest method that is read on; RFC 9110 and WebDAV need 17. */
const MAX_METHOD_BYTES = 32
const versionName = Buffer.from('HTTP/')

/** Reads from `start`, where the method must stand, and never beyond `end`. */
export function readRequestLine(
  bytes: Buffer,
  start: number,
  end: number,
): RequestLine | BadHead | typeof incomplete {
  const classes = classOf
  let at = start
  while (at < end && classes[bytes[at]!]! & TOKEN) at++
  if (at - start > MAX_METHOD_BYTES) return bad('BATON_GATE_METHOD_UNSERVED', 'The method is too long.')
  if (at === end) return incomplete
  if (at === start || bytes[at] !== SPACE)
    return bad('BATON_GATE_METHOD', `Byte ${at} is 0x${hex(bytes[at])}.`)
  const method = methodText(bytes, start, at)

  const targetStart = ++at
  let query = -1
  let plain = true
  for (let previous = 0; at < end; at++) {
    const byte = bytes[at]!
    if (!(classes[byte]! & TARGET)) break
    if (query < 0) {
      if (byte === QUESTION) query = at
      else if (byte === PERCENT || byte === BACKSLASH) plain = false
      else if (previous === SLASH && (byte === SLASH || byte === DOT)) plain = false
      previous = byte
    }
  }
  if (at === end) return incomplete
  if (bytes[at] !== SPACE) {
    if (bytes[at] === CR || bytes[at] === LF) return bad('BATON_GATE_REQUEST_LINE', 'The version is missing.')
    return bad('BATON_GATE_TARGET', `Byte ${at} is 0x${hex(bytes[at])}.`)
  }
  if (at === targetStart) return bad('BATON_GATE_REQUEST_LINE', 'Two spaces in a row.')
  const targetEnd = at++

  for (let index = 0; index < 8; index++, at++) {
    if (at === end) return incomplete
    const byte = bytes[at]!
    const fits =
      index < 5 ? byte === versionName[index] : index === 6 ? byte === DOT : byte >= 48 && byte <= 57
    if (!fits) return bad('BATON_GATE_REQUEST_LINE', 'What follows the target is no HTTP version.')
  }
  if (at === end) return incomplete
  if (bytes[at] !== CR) {
    if (bytes[at] === LF) return bad('BATON_GATE_LINE_END', 'The request line ends in a bare LF.')
    return bad('BATON_GATE_REQUEST_LINE', 'Something follows the HTTP version.')
  }
  if (at + 1 === end) return incomplete
  if (bytes[at + 1] !== LF) return bad('BATON_GATE_LINE_END', 'The request line ends in a bare CR.')
  const major = bytes[at - 3]! - 48
  const minor = bytes[at - 1]! - 48
  if (major !== 1 || minor > 1) return bad('BATON_GATE_VERSION', `HTTP/${major}.${minor}`)
  if (method === 'CONNECT' || method === 'PRI') return bad('BATON_GATE_METHOD_UNSERVED', method)

  const target = bytes.toString('latin1', targetStart, targetEnd)
  const isPath = bytes[targetStart] === SLASH
  const sent = isPath && query >= 0 ? target.slice(0, query - targetStart) : target
  const path = isPath && !plain ? routePath(sent) : sent
  if (path === undefined) return ambiguous()
  const line = {
    kind: 'line',
    method,
    target,
    path,
    authority: null,
    defaultPort: '80',
    httpVersion: minor === 1 ? '1.1' : '1.0',
    end: at + 2,
  } as const
  if (isPath) return line
  if (target === '*') {
    return method === 'OPTIONS' ? line : bad('BATON_GATE_TARGET', 'The asterisk is for OPTIONS alone.')
  }
  return absoluteForm(line)
}

/** `http://authority/path?query`, as a client sends it to a proxy (RFC 9112, 3.2.2). */
function absoluteForm(line: RequestLine): RequestLine | BadHead {
  const match = /^(https?):\/\/([^/?]+)([^?]*)/i.exec(line.target)
  if (!match) return bad('BATON_GATE_TARGET', 'It neither starts with a slash nor is an http URI.')
  const authority = readAuthority(match[2] ?? '')
  if (!authority?.host) return bad('BATON_GATE_TARGET', 'The authority of the URI is not valid.')
  const path = routePath(match[3] || '/')
  if (path === undefined) return ambiguous()
  const defaultPort = match[1]?.toLowerCase() === 'https' ? '443' : '80'
  return { ...line, path, authority, defaultPort }
}

function ambiguous(): BadHead {
  return bad('BATON_GATE_TARGET', 'Servers disagree about what this path means.')
}

/** The usual methods without making a string. */
function methodText(bytes: Buffer, start: number, end: number): string {
  const length = end - start
  if (length === 3 && bytes[start] === 71 && bytes[start + 1] === 69 && bytes[start + 2] === 84) return 'GET'
  return bytes.toString('latin1', start, end)
}

function hex(byte: number | undefined): string {
  return (byte ?? 0).toString(16).padStart(2, '0')
}
