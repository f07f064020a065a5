import { readHostPattern, underPrefix } from '../config/index.js'
import { BatonError } from '../errors/index.js'
import type { RoutesDocument } from './document.js'

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

/** Routes ready for matching. */
export interface RouteTable {
  readonly version: number
  /**
   * The first route that matches; undefined when none does.
   * @param host lower case, without port and trailing dot; null when the request has none, which only routes without
   * a host match
   * @param path as it was sent, without the query
   */
  match(host: string | null, path: string): RouteHit | undefined
}

/**
 * Prepares routes for matching: by a hash of the host, so that the cost of a match grows with the routes of that host
 * and not with all of them. Nothing is allocated in a match, but for slices of the host when wildcards exist.
 * @throws BatonError BATON_ROUTES_INVALID for a host that is no pattern
 */
export function compileRoutes(document: RoutesDocument): RouteTable {
  const anyHost: Entry[] = []
  const exactHost = new Map<string, Entry[]>()
  const belowHost = new Map<string, Entry[]>()
  for (const [index, route] of document.routes.entries()) {
    const host = readHostPattern(route.match.host)
    if (typeof host === 'string') {
      throw new BatonError('BATON_ROUTES_INVALID', { detail: `routes[${index}].match.host ${host}.` })
    }
    const { path } = route.match
    const exact = path !== undefined && 'exact' in path ? path.exact : undefined
    const prefix = path !== undefined && 'prefix' in path ? path.prefix : undefined
    const entry: Entry = Object.freeze({ index, pool: route.pool, exact, prefix })
    if (host.kind === 'any') anyHost.push(entry)
    else if (host.kind === 'exact') append(exactHost, host.name, entry)
    else append(belowHost, host.suffix, entry)
  }
  const wildcards = belowHost.size > 0

  function match(host: string | null, path: string): RouteHit | undefined {
    let best = first(anyHost, path, undefined)
    if (host === null) return best
    best = first(exactHost.get(host), path, best)
    if (!wildcards) return best
    // From 1: at least one character stands before the suffix.
    for (let dot = host.indexOf('.', 1); dot >= 0; dot = host.indexOf('.', dot + 1)) {
      best = first(belowHost.get(host.slice(dot)), path, best)
    }
    return best
  }
  return { version: document.version, match }
}

function append(lists: Map<string, Entry[]>, key: string, entry: Entry): void {
  const list = lists.get(key)
  if (list === undefined) lists.set(key, [entry])
  else list.push(entry)
}

/** The first of a list that matches the path, if it stands before `best`. Lists are in the document's order. */
function first(list: readonly Entry[] | undefined, path: string, best: Entry | undefined): Entry | undefined {
  if (list === undefined) return best
  for (const entry of list) {
    if (best !== undefined && entry.index > best.index) return best
    if (
      entry.exact !== undefined
        ? path === entry.exact
        : entry.prefix === undefined || underPrefix(path, entry.prefix)
    ) {
      return entry
    }
  }
  return best
}
