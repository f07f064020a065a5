import { readSniPattern, routeProtocol } from '../config/index.js'
import { BatonError } from '../errors/index.js'
import type { RoutesDocument } from './document.js'
import { hostIndex } from './host-index.js'
import type { RouteHit } from './table.js'

interface Entry extends RouteHit {
  readonly alpn: string | undefined
}

/** The routes of tls listeners, ready for matching. */
export interface TlsRouteTable {
  /**
   * The first route with sni or alpn that matches; undefined when none does.
   * @param sni lower case, without trailing dot; null when the client sent none
   * @param alpn what the client offers
   */
  match(sni: string | null, alpn: readonly string[]): RouteHit | undefined
}

/**
 * Takes the routes with sni or alpn, and no others.
 * @throws BatonError BATON_ROUTES_INVALID for a name that is no pattern
 */
export function compileTlsRoutes(document: RoutesDocument): TlsRouteTable {
  const table = hostIndex<Entry, readonly string[]>(
    ({ alpn }, offered) => alpn === undefined || offered.includes(alpn),
  )
  for (const [index, { match, pool }] of document.routes.entries()) {
    if (routeProtocol(match) !== 'tls') continue
    const pattern = readSniPattern(match.sni)
    if (typeof pattern === 'string') {
      throw new BatonError('BATON_ROUTES_INVALID', { detail: `routes[${index}].match.sni ${pattern}.` })
    }
    table.add(pattern, Object.freeze({ index, pool, alpn: match.alpn }))
  }
  return { match: (sni, alpn) => table.match(sni, alpn) }
}
