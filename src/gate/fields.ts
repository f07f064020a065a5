import { type Authority, readAuthority } from './authority.js'
import { COLON, CR, classOf, LF, SPACE, TAB, TOKEN, VALUE } from './characters.js'
import { type BadHead, bad, incomplete } from './head-result.js'

/** What the field lines say about routing and framing. */
export interface Fields {
  readonly kind: 'fields'
  /** Null when there is no Host field. */
  authority: Authority | null
  contentLength: number | null
  /** All Transfer-Encoding lines, lower case, joined by commas; null without one. */
  transferEncoding: string | null
  /** All Connection lines, lower case, between and around commas; empty without one. */
  connection: string
  expectContinue: boolean
  /** The Upgrade field, whatever Connection says. */
  upgrade: string | null
  /** Offset behind the empty line. */
  end: number
}

export const MAX_FIELD_LINES = 128

/** Tokens and commas. */
const connectionList = /^[ ,]*(?:[!#$%&'*+.^_`|~0-9a-z-]+ *(?:,[ ,]*|$))*$/

/** Reads field lines from `start` to the empty line (RFC 9112, section 5), never beyond `end`. */
export function readFields(bytes: Buffer, start: number, end: number): Fields | BadHead | typeof incomplete {
  const fields: Fields = {
    kind: 'fields',
    authority: null,
    contentLength: null,
    transferEncoding: null,
    connection: '',
    expectContinue: false,
    upgrade: null,
    end: 0,
  }
  const classes = classOf
  let at = start
  for (let lines = 0; ; lines++) {
    if (at === end) return incomplete
    if (bytes[at] === CR) {
      if (at + 1 === end) return incomplete
      if (bytes[at + 1] !== LF) return bad('BATON_GATE_LINE_END', `A bare CR at byte ${at}.`)
      fields.end = at + 2
      return fields
    }
    if (lines === MAX_FIELD_LINES) return bad('BATON_GATE_FIELDS_TOO_MANY', '')

    const nameStart = at
    while (at < end && classes[bytes[at]!]! & TOKEN) at++
    if (at === end) return incomplete
    const nameEnd = at
    if (bytes[at] !== COLON || nameEnd === nameStart) return badName(bytes[at], at, nameStart)
    at++
    while (at < end && (bytes[at] === SPACE || bytes[at] === TAB)) at++
    const valueStart = at
    while (at < end && classes[bytes[at]!]! & VALUE) at++
    if (at === end) return incomplete
    if (bytes[at] !== CR) {
      if (bytes[at] === LF) return bad('BATON_GATE_LINE_END', `A bare LF at byte ${at}.`)
      return bad('BATON_GATE_FIELD', `A control character at byte ${at}.`)
    }
    if (at + 1 === end) return incomplete
    if (bytes[at + 1] !== LF) return bad('BATON_GATE_LINE_END', `A bare CR at byte ${at}.`)
    let valueEnd = at
    while (valueEnd > valueStart && (bytes[valueEnd - 1] === SPACE || bytes[valueEnd - 1] === TAB)) valueEnd--
    const refused = note(fields, bytes, nameStart, nameEnd, valueStart, valueEnd, at)
    if (refused) return refused
    at += 2
  }
}

function badName(byte: number | undefined, at: number, nameStart: number): BadHead {
  if (byte === LF || byte === CR)
    return bad('BATON_GATE_LINE_END', `A line without a colon ends at byte ${at}.`)
  if (at === nameStart && (byte === SPACE || byte === TAB)) {
    return bad('BATON_GATE_FIELD', `A folded line at byte ${at}.`)
  }
  return bad('BATON_GATE_FIELD', `The name ends wrongly at byte ${at}.`)
}

/** Keeps what matters of one field line. The length of the name tells nearly all others apart. */
function note(
  fields: Fields,
  bytes: Buffer,
  nameStart: number,
  nameEnd: number,
  valueStart: number,
  valueEnd: number,
  lineEnd: number,
): BadHead | undefined {
  switch (nameEnd - nameStart) {
    case 4:
      if (!isName(bytes, nameStart, 'host')) return undefined
      if (fields.authority) return bad('BATON_GATE_HOST', 'It is repeated.')
      fields.authority = readAuthority(bytes.toString('latin1', valueStart, valueEnd)) ?? null
      return fields.authority ? undefined : bad('BATON_GATE_HOST', 'It is not valid.')
    case 6:
      if (!isName(bytes, nameStart, 'expect')) return undefined
      fields.expectContinue ||=
        bytes.toString('latin1', valueStart, valueEnd).toLowerCase() === '100-continue'
      return undefined
    case 7:
      if (isName(bytes, nameStart, 'upgrade')) {
        const value = bytes.toString('latin1', valueStart, valueEnd).toLowerCase()
        fields.upgrade = !fields.upgrade ? value : `${fields.upgrade}, ${value}`
      }
      return undefined
    case 10:
      if (isName(bytes, nameStart, 'connection')) {
        const usual = usualConnection(bytes, nameEnd + 2, valueStart, valueEnd, lineEnd)
        if (usual !== undefined) {
          fields.connection += usual
          return undefined
        }
        const value = bytes.toString('latin1', valueStart, valueEnd).toLowerCase()
        if (hasTab(bytes, nameEnd, lineEnd)) return bad('BATON_GATE_FIELD', 'A tab in Connection.')
        if (!connectionList.test(value)) return bad('BATON_GATE_FIELD', 'Connection is no list of tokens.')
        fields.connection += `,${value.replace(/ /g, '')},`
      }
      return undefined
    case 14: {
      if (!isName(bytes, nameStart, 'content-length')) return undefined
      if (fields.contentLength !== null) return bad('BATON_GATE_CONTENT_LENGTH', 'It is repeated.')
      const text = bytes.toString('latin1', valueStart, valueEnd)
      if (hasTab(bytes, nameEnd, lineEnd)) return bad('BATON_GATE_CONTENT_LENGTH', 'A tab.')
      const length = /^[0-9]{1,19}$/.test(text) ? Number(text) : Number.NaN
      if (!Number.isSafeInteger(length)) return bad('BATON_GATE_CONTENT_LENGTH', '')
      fields.contentLength = length
      return undefined
    }
    case 17: {
      if (!isName(bytes, nameStart, 'transfer-encoding')) return undefined
      const value = bytes.toString('latin1', valueStart, valueEnd).toLowerCase()
      if (hasTab(bytes, nameEnd, lineEnd)) return bad('BATON_GATE_TRANSFER_ENCODING', 'A tab.')
      fields.transferEncoding =
        fields.transferEncoding === null ? value : `${fields.transferEncoding},${value}`
      return undefined
    }
    default:
      return undefined
  }
}

/** `Connection: close` and `keep-alive` in lower case, one space before and none behind, without making a string. */
function usualConnection(
  bytes: Buffer,
  afterColon: number,
  valueStart: number,
  valueEnd: number,
  lineEnd: number,
): ',close,' | ',keep-alive,' | undefined {
  if (valueStart !== afterColon || valueEnd !== lineEnd || bytes[valueStart - 1] !== SPACE) return undefined
  const length = valueEnd - valueStart
  if (length === 5 && isText(bytes, valueStart, 'close')) return ',close,'
  return length === 10 && isText(bytes, valueStart, 'keep-alive') ? ',keep-alive,' : undefined
}

function isText(bytes: Buffer, at: number, text: string): boolean {
  for (let index = 0; index < text.length; index++) {
    if (bytes[at + index] !== text.charCodeAt(index)) return false
  }
  return true
}

/**
 * A tab is white space like any other (RFC 9110, 5.6.3), but beside `close` or `chunked` some parsers, llhttp among
 * them, read it otherwise; so where a request ends must not hang on one.
 */
function hasTab(bytes: Buffer, start: number, end: number): boolean {
  const at = bytes.indexOf(TAB, start)
  return at >= 0 && at < end
}

/** Whether the token at `at`, known to be as long, is `name` in any case. */
function isName(bytes: Buffer, at: number, name: string): boolean {
  for (let index = 0; index < name.length; index++) {
    if ((bytes[at + index]! | 32) !== name.charCodeAt(index)) return false
  }
  return true
}
