import { isIPv6 } from 'node:net'
import { addressBytes, addressText } from '../kernel/flow.js'
import { DOT } from './characters.js'

export interface Authority {
  /** Lower case, without a trailing dot; an IPv6 address in brackets as in RFC 5952; null when empty. */
  readonly host: string | null
  /** As it was sent; empty when there was none. */
  readonly port: string
}

const name = /^(?:[a-z0-9_~-]+\.)*[a-z0-9_~-]+\.?$/i
const plainName = /^[a-z0-9_~.-]*$/
const tail = /^(?::(\d{0,5}))?$/

/**
 * Reads `uri-host [":" port]` (RFC 9110, 7.2), narrower than RFC 3986: a name is letters, digits, `-`, `_`, `~` and
 * single dots, at most 255 characters; no percent-encoding, no sub-delimiters (a comma would let two Host values pass
 * as one), no user information.
 *
 * @returns undefined when it is not valid
 */
export function readAuthority(text: string): Authority | undefined {
  if (text === '') return { host: null, port: '' }
  if (isPlain(text)) return { host: text, port: '' }
  if (text.length > 262) return undefined
  const hostEnd = text.startsWith('[') ? text.indexOf(']') + 1 : text.indexOf(':')
  const host = hostEnd < 0 ? text : text.slice(0, hostEnd)
  const port = hostEnd < 0 ? '' : tail.exec(text.slice(hostEnd))?.[1]
  if (hostEnd >= 0 && hostEnd < text.length && port === undefined) return undefined
  if (Number(port ?? 0) > 65535) return undefined
  if (host.startsWith('[')) {
    const literal = host.slice(1, -1)
    if (!isIPv6(literal) || literal.includes('%')) return undefined
    const canonical = addressText(addressBytes(literal))
    return { host: canonical.includes(':') ? `[${canonical}]` : `[::ffff:${canonical}]`, port: port ?? '' }
  }
  if (host.length > 255 || !name.test(host)) return undefined
  const lower = plainName.test(host) ? host : host.toLowerCase()
  return { host: lower.endsWith('.') ? lower.slice(0, -1) : lower, port: port ?? '' }
}

/** What nearly all are: a name in lower case, without port or trailing dot. The same as by the patterns, and no pattern. */
function isPlain(text: string): boolean {
  if (text.length > 255) return false
  let previous = DOT
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index)
    const isLetter = (code >= 97 && code <= 122) || (code >= 48 && code <= 57) || code === 45 || code === 95
    if (!isLetter && (code !== DOT || previous === DOT)) return false
    previous = code
  }
  return previous !== DOT
}

/** Whether two authorities name the same place, where an absent port is the scheme's own. */
export function sameAuthority(one: Authority, other: Authority, defaultPort: string): boolean {
  const port = (authority: Authority) => Number(authority.port || defaultPort)
  return one.host === other.host && port(one) === port(other)
}
