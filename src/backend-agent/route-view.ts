import { routeProtocol } from '../config/index.js'
import { compileRoutes, parseRoutes, type RouteTable } from '../routing/index.js'
import type { Placement } from './interception.js'

const own: Placement = { kind: 'own' }
const none: Placement = { kind: 'none' }

/** A frontend's routes, seen from an agent that serves some of the pools. */
export class RouteView {
  readonly version: number
  readonly #table: RouteTable
  readonly #own: ReadonlySet<string>
  readonly #others = new Map<string, Placement>()

  /** @throws BatonError BATON_ROUTES_INVALID */
  constructor(json: string, ownPools: ReadonlySet<string>) {
    const document = parseRoutes(json)
    this.version = document.version
    this.#table = compileRoutes(document)
    this.#own = ownPools
    for (const { match, pool } of document.routes) {
      // No request can come to a pool that only whole connections go to.
      if (ownPools.has(pool) || routeProtocol(match) !== 'http') continue
      const addresses = document.pools?.[pool]?.addresses ?? []
      this.#others.set(pool, { kind: 'other', pool, addresses })
    }
  }

  /** Whether a request could ever belong to a pool that is not served here. */
  get hasOthers(): boolean {
    return this.#others.size > 0
  }

  /** Addresses to which requests may be relayed. */
  get addresses(): readonly string[] {
    return [...this.#others.values()].flatMap((place) => (place.kind === 'other' ? place.addresses : []))
  }

  /** @param pool the one that the connection was offered for: its requests are ours even where the files disagree */
  place(pool: string, host: string | null, path: string): Placement {
    const hit = this.#table.match(host, path)
    if (hit === undefined) return none
    if (hit.pool === pool || this.#own.has(hit.pool)) return own
    return this.#others.get(hit.pool) ?? none
  }
}
