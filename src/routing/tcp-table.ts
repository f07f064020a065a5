import type { RoutesDocument } from './document.js'
import type { RouteHit } from './table.js'

/** The routes of tcp listeners, by listener. */
export interface TcpRouteTable {
  /** The first route that names this listener; undefined when none does. */
  match(listener: string): RouteHit | undefined
}

/** Takes the routes with listeners, and no others. */
export function compileTcpRoutes(document: RoutesDocument): TcpRouteTable {
  const hits = new Map<string, RouteHit>()
  for (const [index, { match, pool }] of document.routes.entries()) {
    for (const name of match.listeners ?? []) {
      if (!hits.has(name)) hits.set(name, Object.freeze({ index, pool }))
    }
  }
  return { match: (listener) => hits.get(listener) }
}
