/**
 * What a route's `match` may say. Only this file knows the grammar; src/routing matches with it.
 *
 * - host `www.example` is that name alone; `*.video.example` is every name below it, at any depth, and not
 *   video.example itself (as in nginx). Case, port and a trailing dot of the request's host do not matter.
 * - path `{ exact: /a }` is that path alone. `{ prefix: /v }` is /v and everything below it, /v/…, but not /video;
 *   `{ prefix: /v/ }` is everything below and not /v itself. Paths are compared as they were sent, without the query:
 *   nothing is percent-decoded, no dot segment resolved, and case matters.
 * - sni is a host pattern, compared with the name in the ClientHello; `*` is every name and none.
 * - alpn is one of the protocols that the client offers, byte for byte.
 * - listeners are names of `tcp` listeners: of their connections nothing is read, so nothing else can tell them apart.
 * - key is compared with what the program's own head reader found: `mail` is that key alone, `mail*` every key that
 *   begins so, `*` every key.
 *
 * The fields say what a route is for: with listeners for the connections of these `tcp` listeners, with sni or alpn for
 * those of `tls` listeners, with key for those of `custom` listeners, and otherwise for the requests of `http`
 * listeners. None is for two kinds.
 */
export interface RouteMatch {
  readonly host?: string
  readonly sni?: string
  readonly alpn?: string
  readonly path?: { readonly exact: string } | { readonly prefix: string }
  readonly listeners?: readonly string[]
  readonly key?: string
}

/** What clients of a listener speak, and what a route is for. */
export type Protocol = 'http' | 'tls' | 'tcp' | 'custom'

export type HostPattern =
  | { readonly kind: 'any' }
  | { readonly kind: 'exact'; readonly name: string }
  /** `suffix` begins with a dot. */
  | { readonly kind: 'below'; readonly suffix: string }

const LABEL = /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/

/** Reads `host`; a string says what is wrong with it. */
export function readHostPattern(text: string | undefined): HostPattern | string {
  if (text === undefined) return { kind: 'any' }
  const name = text.toLowerCase()
  if (name === '*') return 'leave host out to match every host'
  if (/^\[[0-9a-f:.]+\]$/.test(name)) return { kind: 'exact', name }
  const below = name.startsWith('*.')
  const rest = below ? name.slice(2) : name
  if (rest.includes('*')) return 'a * may only stand for the whole first part, as in *.video.example'
  if (rest.includes(':')) return 'is matched without a port'
  if (rest.endsWith('.')) return 'is matched without the trailing dot'
  if (rest.length > 253 || !rest.split('.').every((label) => LABEL.test(label))) {
    return 'is not a host name (international names in their xn-- form)'
  }
  return below ? { kind: 'below', suffix: `.${rest}` } : { kind: 'exact', name }
}

/** Reads `sni`; a string says what is wrong with it. */
export function readSniPattern(text: string | undefined): HostPattern | string {
  if (text === undefined || text === '*') return { kind: 'any' }
  return text.startsWith('[') ? 'is a name, never an address' : readHostPattern(text)
}

/** What is wrong with `alpn`; undefined when nothing is. */
export function alpnMistake(text: string): string | undefined {
  return /^[\x21-\x7e]{1,255}$/.test(text)
    ? undefined
    : 'is the name of a protocol such as h2 or http/1.1: 1 to 255 visible ASCII characters'
}

export type KeyPattern = { readonly kind: 'exact' | 'prefix'; readonly text: string }

/** In UTF-16 code units, as the gate bounds what head readers find. */
const MAX_KEY_LENGTH = 256

/** Reads `key`; a string says what is wrong with it. */
export function readKeyPattern(text: string): KeyPattern | string {
  if (text === '' || text.length > MAX_KEY_LENGTH) return `is a text of 1 to ${MAX_KEY_LENGTH} characters`
  const star = text.indexOf('*')
  if (star < 0) return { kind: 'exact', text }
  if (star < text.length - 1) return 'a * may only stand at the end, as in mail*'
  return { kind: 'prefix', text: text.slice(0, -1) }
}

/** What kind of listener a route is for. */
export function routeProtocol({ sni, alpn, listeners, key }: RouteMatch): Protocol {
  if (listeners !== undefined) return 'tcp'
  if (key !== undefined) return 'custom'
  return sni !== undefined || alpn !== undefined ? 'tls' : 'http'
}

/** What is wrong with an `exact` or `prefix`; undefined when nothing is. */
export function pathMistake(text: string): string | undefined {
  if (!text.startsWith('/')) return 'begins with /'
  if (text.includes('?')) return 'is matched without the query'
  if (text.includes('#')) return 'has no fragment'
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused
  if (/[\x00-\x20\x7f-\uffff]/.test(text))
    return 'has a character that no request path holds; percent-encode it'
  return undefined
}

/** True when `path` is `prefix` or below it, by whole segments. */
export function underPrefix(path: string, prefix: string): boolean {
  if (!path.startsWith(prefix)) return false
  return (
    path.length === prefix.length ||
    prefix.charCodeAt(prefix.length - 1) === 47 ||
    path.charCodeAt(prefix.length) === 47
  )
}

/** True when every request that `later` matches is matched by `earlier` too. */
export function coversRoute(earlier: RouteMatch, later: RouteMatch): boolean {
  const protocol = routeProtocol(earlier)
  if (protocol !== routeProtocol(later)) return false
  if (protocol === 'tcp') return later.listeners?.every((name) => earlier.listeners?.includes(name)) === true
  if (protocol === 'custom') return coversKey(earlier.key ?? '', later.key ?? '')
  if (protocol === 'tls') {
    const names = coversHost(readSniPattern(earlier.sni), readSniPattern(later.sni))
    return names && (earlier.alpn === undefined || earlier.alpn === later.alpn)
  }
  const hosts = coversHost(readHostPattern(earlier.host), readHostPattern(later.host))
  return hosts && coversPath(earlier.path, later.path)
}

function coversHost(wide: HostPattern | string, narrow: HostPattern | string): boolean {
  if (typeof wide === 'string' || typeof narrow === 'string') return false
  if (wide.kind === 'any') return true
  if (narrow.kind === 'any') return false
  if (wide.kind === 'exact') return narrow.kind === 'exact' && narrow.name === wide.name
  return (narrow.kind === 'exact' ? narrow.name : narrow.suffix).endsWith(wide.suffix)
}

function coversKey(earlier: string, later: string): boolean {
  const [wide, narrow] = [readKeyPattern(earlier), readKeyPattern(later)]
  if (typeof wide === 'string' || typeof narrow === 'string') return false
  if (wide.kind === 'exact') return narrow.kind === 'exact' && narrow.text === wide.text
  return narrow.text.startsWith(wide.text)
}

function coversPath(earlier: RouteMatch['path'], later: RouteMatch['path']): boolean {
  if (earlier === undefined) return true
  if (later === undefined) return false
  if ('exact' in earlier) return 'exact' in later && later.exact === earlier.exact
  if ('exact' in later) return underPrefix(later.exact, earlier.prefix)
  // Everything below /v is below /v/ too, but /v itself is not.
  return underPrefix(later.prefix, earlier.prefix)
}
