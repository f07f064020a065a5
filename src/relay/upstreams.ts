import { Pool } from 'undici'
import type { RelaySettings } from './options.js'

/** The connections to one address, and how many requests are on them or wait for one. */
export interface Upstream {
  /** `host:port`, IPv6 in brackets. */
  readonly address: string
  readonly pool: Pool
  inFlight: number
}

/** One undici pool for each address that was ever asked for. */
export class Upstreams {
  readonly #settings: RelaySettings
  readonly #pools = new Map<string, Upstream>()

  constructor(settings: RelaySettings) {
    this.#settings = settings
  }

  /** @returns undefined when the address is full: `maxConnections` busy and `maxWaiting` waiting */
  take(address: string): Upstream | undefined {
    let upstream = this.#pools.get(address)
    if (upstream === undefined) {
      upstream = { address, pool: this.#open(address), inFlight: 0 }
      this.#pools.set(address, upstream)
    }
    if (upstream.inFlight >= this.#settings.maxConnections + this.#settings.maxWaiting) return undefined
    upstream.inFlight++
    return upstream
  }

  release(upstream: Upstream): void {
    upstream.inFlight--
  }

  /** Closes the connections to addresses that are no longer known. Requests under way are finished. */
  keepOnly(addresses: ReadonlySet<string>): void {
    for (const [address, upstream] of this.#pools) {
      if (addresses.has(address)) continue
      this.#pools.delete(address)
      // A pool that was closed twice rejects; nobody else has a reason to care.
      upstream.pool.close().catch(() => undefined)
    }
  }

  /** Requests on the way or waiting, over all addresses. */
  get inFlight(): number {
    let sum = 0
    for (const upstream of this.#pools.values()) sum += upstream.inFlight
    return sum
  }

  async close(): Promise<void> {
    const pools = [...this.#pools.values()]
    this.#pools.clear()
    await Promise.all(pools.map(({ pool }) => pool.close()))
  }

  async destroy(error: Error): Promise<void> {
    const pools = [...this.#pools.values()]
    this.#pools.clear()
    await Promise.all(pools.map(({ pool }) => pool.destroy(error)))
  }

  #open(address: string): Pool {
    const settings = this.#settings
    return new Pool(`http://${address}`, {
      connections: settings.maxConnections,
      pipelining: 1,
      connect: { timeout: settings.connectTimeoutMs },
      headersTimeout: settings.responseTimeoutMs,
      bodyTimeout: settings.bodyTimeoutMs,
      keepAliveTimeout: settings.idleTimeoutMs,
      keepAliveMaxTimeout: settings.idleTimeoutMs,
    })
  }
}
