import { readHostPattern, routeProtocol, underPrefix } from '../config/index.js'
import { BatonError } from '../errors/index.js'
import type { RoutesDocument } from './document.js'
import { hostIndex } from './host-index.js'

/** The route that decided: shared between calls, not to be changed. */
export interface RouteHit {
  /** Position in the document, from 0. */
  readonly index: number
  readonly pool: string
}

interface Entry extends RouteHit {
  readonly exact: string | undefined
  readonly prefix: string | undefined
}

/** The routes of http listeners, ready for matching. */
export interface RouteTable {
  readonly version: number
  /**
   * The first route for http listeners that matches; undefined when none does.
   * @param host lower case, without port and trailing dot; null when the request has none, which only routes without
   * a host match
   * @param path as it was sent, without the query
   */
  match(host: string | null, path: string): RouteHit | undefined
}

/**
 * Takes the routes for http listeners, and no others.
 * @throws BatonError BATON_ROUTES_INVALID for a host that is no pattern
 */
export function compileRoutes(document: RoutesDocument): RouteTable {
  const table = hostIndex(fits)
  for (const [index, route] of document.routes.entries()) {
    if (routeProtocol(route.match) !== 'http') continue
    const host = readHostPattern(route.match.host)
    if (typeof host === 'string') {
      throw new BatonError('BATON_ROUTES_INVALID', { detail: `routes[${index}].match.host ${host}.` })
    }
    const { path } = route.match
    const exact = path !== undefined && 'exact' in path ? path.exact : undefined
    const prefix = path !== undefined && 'prefix' in path ? path.prefix : undefined
    table.add(host, Object.freeze({ index, pool: route.pool, exact, prefix }))
  }
  return { version: document.version, match: (host, path) => table.match(host, path) }
}

function fits({ exact, prefix }: Entry, path: string): boolean {
  return exact !== undefined ? path === exact : prefix === undefined || underPrefix(path, prefix)
}
