import type { FrontendFile } from './frontend-schema.js'
import type { KeyPath, Reporter } from './problems.js'
import { type Protocol, type RouteMatch, routeProtocol } from './route-pattern.js'
import { suggest } from './suggest.js'

type Listeners = FrontendFile['listeners']

/** What a pool gets, as messages name it, in their order. */
const traffic: readonly (readonly [Protocol, string])[] = [
  ['http', 'HTTP requests'],
  ['tls', 'TLS connections'],
  ['tcp', 'TCP connections'],
  ['custom', 'connections of a protocol of your own'],
]

const wantedRoute: Readonly<Record<Protocol, (name: string) => string>> = {
  http: () => 'a route without sni and alpn; {} is every request',
  tls: () => 'a route with sni or alpn; sni: "*" is every TLS connection',
  tcp: (name) => `a route with listeners: [${name}]`,
  custom: () => 'a route with key; key: "*" is every connection',
}

/** Which routes are for which listeners, and that neither is without the other. */
export function checkProtocols({ listeners, routes, pools }: FrontendFile, report: Reporter): void {
  const reachedBy = new Map<string, Protocol>()
  for (const [index, { match, pool }] of routes.entries()) {
    const at: KeyPath = ['routes', index, 'match']
    const protocol = routeProtocol(match)
    const stranger = strangeField(match, protocol)
    if (stranger !== undefined) {
      report.error([...at, stranger.field], stranger.message)
      continue
    }
    if (protocol === 'tcp') checkNames(match.listeners ?? [], listeners, [...at, 'listeners'], report)
    else if (!listeners.some((listener) => listener.protocol === protocol)) {
      report.error(at, withoutListener(match, protocol))
    }
    const other = reachedBy.get(pool)
    if (other !== undefined && other !== protocol) {
      const both = traffic.filter(([one]) => one === other || one === protocol).map(([, text]) => text)
      report.warning(
        ['routes', index, 'pool'],
        `pool "${pool}" gets ${both.join(' and ')}: its backends must tell them apart`,
      )
    }
    reachedBy.set(pool, protocol)
  }
  const requested = new Set(
    routes.filter(({ match }) => routeProtocol(match) === 'http').map(({ pool }) => pool),
  )
  for (const pool of requested) {
    if ((pools[pool]?.proxyProtocol ?? 'off') === 'off') continue
    report.error(
      ['pools', pool, 'proxyProtocol'],
      'is for pools of tls and tcp connections: requests of many clients share a connection, and have X-Forwarded-For',
    )
  }
  for (const [index, { name, protocol }] of listeners.entries()) {
    const served = routes.some(({ match }) =>
      protocol === 'tcp' ? match.listeners?.includes(name) : routeProtocol(match) === protocol,
    )
    if (!served)
      report.error(['listeners', index, 'protocol'], `"${name}" needs ${wantedRoute[protocol](name)}`)
  }
}

const tlsField = ({ sni }: RouteMatch) => (sni === undefined ? 'alpn' : 'sni')

function withoutListener(match: RouteMatch, protocol: Protocol): string {
  if (protocol === 'custom')
    return 'has key, which is for listeners with a head reader of their own, and here is none'
  return protocol === 'tls'
    ? `has ${tlsField(match)}, which is for tls listeners, and this file has none`
    : 'has neither sni nor alpn, so it is for http listeners, and this file has none; sni: "*" is every TLS connection, listeners names tcp listeners'
}

/** A field that connections of that kind do not have. */
function strangeField(match: RouteMatch, protocol: Protocol): { field: string; message: string } | undefined {
  const first = (fields: readonly (keyof RouteMatch)[]) => fields.find((field) => match[field] !== undefined)
  switch (protocol) {
    case 'http':
      return undefined
    case 'tls': {
      const field = first(['host', 'path'])
      const message = `cannot stand beside ${tlsField(match)}: a route with sni or alpn is for tls listeners, where nobody sees a request`
      return field && { field, message }
    }
    case 'tcp': {
      const field = first(['host', 'path', 'sni', 'alpn', 'key'])
      const message =
        'cannot stand beside listeners: a route with listeners is for tcp listeners, where nobody reads what a client says'
      return field && { field, message }
    }
    case 'custom': {
      const field = first(['host', 'path', 'sni', 'alpn'])
      const message =
        'cannot stand beside key: a route with key is for listeners with a head reader of their own'
      return field && { field, message }
    }
    default:
      return protocol satisfies never
  }
}

/** That each name is that of a tcp listener. */
function checkNames(names: readonly string[], listeners: Listeners, at: KeyPath, report: Reporter): void {
  for (const [index, wanted] of names.entries()) {
    const found = listeners.find(({ name }) => name === wanted)
    if (found === undefined) {
      const known = listeners.map(({ name }) => name)
      const meant = suggest(wanted, known)
      const hint = meant === undefined ? `the listeners are ${known.join(', ')}` : `did you mean "${meant}"?`
      report.error([...at, index], `names no listener of this file; ${hint}`)
    } else if (found.protocol !== 'tcp') {
      const message = `"${wanted}" has protocol: ${found.protocol}; only tcp listeners are routed by their name`
      report.error([...at, index], message)
    }
  }
}
