import type { RedisTarget } from '../config/index.js'
import type { BackendList } from './backend-list.js'
import { decodeLease, type Lease } from './backend-record.js'
import { createRedisClient, type RedisClient } from './redis-client.js'
import type { RedisConnection } from './redis-connection.js'
import type { RedisKeys } from './redis-keys.js'
import { LEASE_MS } from './registry.js'

const SCAN_MS = 1000
/** More backends than that are not ours. */
const MAX_BACKENDS = 10_000

/** Forgets an id whose lease is over, unless it was renewed in this very moment. */
const SWEEP = `
if redis.call('EXISTS', KEYS[2]) == 1 then return 0 end
return redis.call('SREM', KEYS[1], ARGV[1])`

/**
 * Keeps the list of announced backends up to date: at every event, and once a second for the events that were missed
 * and the leases that ended. A Redis that just came back may have forgotten the agents, and they have a lease's time
 * to announce themselves again before their absence is believed.
 */
export class RedisWatch {
  readonly #connection: RedisConnection
  readonly #keys: RedisKeys
  readonly #list: BackendList
  readonly #subscriber: RedisClient
  #leases: ReadonlyMap<string, Lease> = new Map()
  #believeAbsenceAt = 0
  #timer: NodeJS.Timeout | undefined
  #scanning: Promise<void> | undefined
  #scanAgain = false
  #stopped = false

  constructor(connection: RedisConnection, keys: RedisKeys, list: BackendList, target: RedisTarget) {
    this.#connection = connection
    this.#keys = keys
    this.#list = list
    this.#subscriber = createRedisClient(target)
    // Whether Redis is there is told by the connection for commands; missed events are repaired by the scan.
    this.#subscriber.on('error', () => {})
    this.#subscriber.on('ready', () => this.#subscribe())
    this.#subscriber.on('message', (_channel: string, text: string) => this.#onEvent(text))
    connection.onUp(() => {
      if (this.#leases.size > 0) this.#believeAbsenceAt = performance.now() + LEASE_MS
      void this.scan()
    })
  }

  open(): void {
    this.#subscriber
      .connect()
      .catch((error: Error) => this.#connection.complain('cannot listen for changes', error))
    this.#timer = setInterval(() => void this.scan(), SCAN_MS)
  }

  close(): void {
    this.#stopped = true
    clearInterval(this.#timer)
    this.#subscriber.disconnect()
  }

  #subscribe(): void {
    this.#subscriber.subscribe(this.#keys.events).then(
      () => this.scan(),
      (error: Error) => this.#connection.complain('cannot listen for changes', error),
    )
  }

  #onEvent(text: string): void {
    const nonce = text.startsWith('withdrawn ') ? text.slice('withdrawn '.length) : undefined
    const kept = [...this.#leases].filter(([, lease]) => lease.nonce !== nonce)
    if (kept.length < this.#leases.size) this.#publish(new Map(kept))
    void this.scan()
  }

  /** Reads all leases; once more if asked meanwhile. Resolves when that is done, whatever came of it. */
  scan(): Promise<void> {
    if (this.#scanning !== undefined) {
      this.#scanAgain = true
      return this.#scanning
    }
    this.#scanning = this.#scanAll().finally(() => {
      this.#scanning = undefined
    })
    return this.#scanning
  }

  async #scanAll(): Promise<void> {
    do {
      this.#scanAgain = false
      if (!this.#connection.connected || this.#stopped) return
      try {
        await this.#scanOnce()
      } catch (error) {
        if (this.#connection.connected) this.#connection.complain('cannot read the backends', error)
      }
    } while (this.#scanAgain)
  }

  async #scanOnce(): Promise<void> {
    const { client } = this.#connection
    const ids = (await client.smembers(this.#keys.ids)).sort().slice(0, MAX_BACKENDS)
    const texts = ids.length === 0 ? [] : await client.mget(...ids.map((id) => this.#keys.lease(id)))
    if (this.#stopped) return
    const found = new Map<string, Lease>()
    for (const [index, id] of ids.entries()) {
      const text = texts[index] ?? null
      const lease = text === null ? undefined : decodeLease(text)
      if (lease?.record.id === id) found.set(id, lease)
      else if (text === null) this.#sweep(id)
      else this.#connection.complain(`what ${id} announces is no record`, new Error(text.slice(0, 200)))
    }
    if (performance.now() < this.#believeAbsenceAt) {
      for (const [id, lease] of this.#leases) if (!found.has(id)) found.set(id, lease)
    }
    this.#publish(found)
  }

  #sweep(id: string): void {
    this.#connection.client
      .eval(SWEEP, 2, this.#keys.ids, this.#keys.lease(id), id)
      .catch((error: Error) => this.#connection.complain('cannot sweep ended leases', error))
  }

  #publish(leases: ReadonlyMap<string, Lease>): void {
    this.#leases = leases
    this.#list.setAnnounced(new Map([...leases].map(([id, { record }]) => [id, record])))
  }
}
