import { readKeyPattern, routeProtocol } from '../config/index.js'
import { BatonError } from '../errors/index.js'
import type { RoutesDocument } from './document.js'
import type { RouteHit } from './table.js'

/** The routes of custom listeners, ready for matching. */
export interface KeyRouteTable {
  /** The first route with key that matches; undefined when none does. */
  match(key: string): RouteHit | undefined
}

/**
 * Takes the routes with key, and no others. Exact keys are found by a hash; prefixes one after the other.
 * @throws BatonError BATON_ROUTES_INVALID for a key that is no pattern
 */
export function compileKeyRoutes(document: RoutesDocument): KeyRouteTable {
  const exact = new Map<string, RouteHit>()
  const prefixes: { readonly prefix: string; readonly hit: RouteHit }[] = []
  for (const [index, { match, pool }] of document.routes.entries()) {
    if (routeProtocol(match) !== 'custom') continue
    const pattern = readKeyPattern(match.key ?? '')
    if (typeof pattern === 'string') {
      throw new BatonError('BATON_ROUTES_INVALID', { detail: `routes[${index}].match.key ${pattern}.` })
    }
    const hit = Object.freeze({ index, pool })
    if (pattern.kind === 'prefix') prefixes.push({ prefix: pattern.text, hit })
    else if (!exact.has(pattern.text)) exact.set(pattern.text, hit)
  }
  return {
    match(key) {
      const own = exact.get(key)
      for (const { prefix, hit } of prefixes) {
        if (own !== undefined && own.index < hit.index) return own
        if (key.startsWith(prefix)) return hit
      }
      return own
    },
  }
}
