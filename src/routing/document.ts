import {
  alpnMistake,
  pathMistake,
  type RouteConfig,
  readEndpoint,
  readHostPattern,
  readKeyPattern,
  readSniPattern,
} from '../config/index.js'
import { BatonError } from '../errors/index.js'

/** The routes of a frontend, as they travel to the agents: the first that matches decides. */
export interface RoutesDocument {
  /** Grows with every change. */
  readonly version: number
  readonly routes: readonly RouteConfig[]
  /**
   * Where each pool's requests can be relayed to, as `ADDRESS:PORT`: for requests that follow on a connection which
   * cannot be moved just then. A pool without addresses, or without an entry, cannot be relayed to.
   */
  readonly pools?: Readonly<Record<string, { readonly addresses: readonly string[] }>>
}

/** Longest document in bytes of JSON that is read. */
export const MAX_ROUTES_BYTES = 1 << 20

/**
 * Reads a document that came over the wire: nothing in it is believed.
 * @throws BatonError BATON_ROUTES_INVALID
 */
export function parseRoutes(json: string): RoutesDocument {
  if (Buffer.byteLength(json) > MAX_ROUTES_BYTES)
    throw invalid(`It is longer than ${MAX_ROUTES_BYTES} bytes.`)
  let value: unknown
  try {
    value = JSON.parse(json)
  } catch (cause) {
    throw new BatonError('BATON_ROUTES_INVALID', { detail: 'It is not JSON.', cause })
  }
  if (!isMap(value) || !Number.isSafeInteger(value.version) || !Array.isArray(value.routes)) {
    throw invalid('It has no version or no routes.')
  }
  const { version, routes, pools } = value
  return {
    version: Number(version),
    routes: routes.map((route: unknown, index) => readRoute(route, index)),
    ...(pools === undefined ? {} : { pools: readPools(pools) }),
  }
}

function invalid(detail: string): BatonError {
  return new BatonError('BATON_ROUTES_INVALID', { detail })
}

function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function readPools(pools: unknown): NonNullable<RoutesDocument['pools']> {
  if (!isMap(pools)) throw invalid('Its pools are no map.')
  const read: Record<string, { addresses: string[] }> = Object.create(null)
  for (const [name, pool] of Object.entries(pools)) {
    const addresses = isMap(pool) ? pool.addresses : undefined
    if (!Array.isArray(addresses)) throw invalid(`pools.${name} has no addresses.`)
    read[name] = {
      addresses: addresses.map((address: unknown) => {
        if (typeof address !== 'string' || typeof readEndpoint(address) === 'string') {
          throw invalid(`pools.${name}.addresses holds something that is none.`)
        }
        return address
      }),
    }
  }
  return read
}

function readRoute(route: unknown, index: number): RouteConfig {
  const place = `routes[${index}]`
  if (!isMap(route) || typeof route.pool !== 'string' || !isMap(route.match))
    throw invalid(`${place} has no pool or match.`)
  const { host, path, sni, alpn, listeners, key } = route.match
  if (host !== undefined) {
    const pattern = typeof host === 'string' ? readHostPattern(host) : 'is no text'
    if (typeof pattern === 'string') throw invalid(`${place}.match.host ${pattern}.`)
  }
  if (sni !== undefined) {
    const pattern = typeof sni === 'string' ? readSniPattern(sni) : 'is no text'
    if (typeof pattern === 'string') throw invalid(`${place}.match.sni ${pattern}.`)
  }
  if (alpn !== undefined) {
    const mistake = typeof alpn === 'string' ? alpnMistake(alpn) : 'is no text'
    if (mistake !== undefined) throw invalid(`${place}.match.alpn ${mistake}.`)
  }
  if (listeners !== undefined && !isNames(listeners)) throw invalid(`${place}.match.listeners are no names.`)
  if (key !== undefined) {
    const pattern = typeof key === 'string' ? readKeyPattern(key) : 'is no text'
    if (typeof pattern === 'string') throw invalid(`${place}.match.key ${pattern}.`)
  }
  return {
    match: {
      ...(typeof host === 'string' ? { host } : {}),
      ...(typeof sni === 'string' ? { sni } : {}),
      ...(typeof alpn === 'string' ? { alpn } : {}),
      ...(typeof key === 'string' ? { key } : {}),
      ...(path === undefined ? {} : { path: readPath(path, place) }),
      ...(listeners === undefined ? {} : { listeners: [...listeners] }),
    },
    pool: route.pool,
  }
}

function isNames(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.length > 0 && value.every((name) => typeof name === 'string')
}

function readPath(path: unknown, place: string): { exact: string } | { prefix: string } {
  if (isMap(path) && Object.keys(path).length === 1) {
    const { exact, prefix } = path
    const text = exact ?? prefix
    if (typeof text === 'string' && pathMistake(text) === undefined) {
      return exact === undefined ? { prefix: text } : { exact: text }
    }
  }
  throw invalid(`${place}.match.path is neither exact nor prefix with a path.`)
}
