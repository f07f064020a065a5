import { randomBytes } from 'node:crypto'
import { decodeLease, encodeLease } from './backend-record.js'
import type { RedisConnection } from './redis-connection.js'
import type { RedisKeys } from './redis-keys.js'
import { type Announcement, type BackendRecord, LEASE_MS, RENEW_MS } from './registry.js'

/** Takes the lease back only if it is still ours: a restarted agent may have announced the same id since. */
const WITHDRAW = `
local held = redis.call('GET', KEYS[1])
if not held or not string.find(held, ARGV[1], 1, true) then return 0 end
redis.call('DEL', KEYS[1])
redis.call('SREM', KEYS[2], ARGV[2])
redis.call('PUBLISH', KEYS[3], 'withdrawn ' .. ARGV[1])
return 1`

type State = 'announced' | 'withdrawn'

/** Keeps one backend announced: the lease is renewed well before it ends, and at once when Redis comes back. */
export class RedisLease implements Announcement {
  readonly #connection: RedisConnection
  readonly #keys: RedisKeys
  readonly #nonce = randomBytes(12).toString('hex')
  readonly #timer: NodeJS.Timeout
  #state: State = 'announced'
  #record: BackendRecord
  /** The frontends have not been told of this record yet. */
  #untold = true
  #renewing: Promise<void> | undefined
  #renewals = 0

  constructor(connection: RedisConnection, keys: RedisKeys, record: BackendRecord) {
    this.#connection = connection
    this.#keys = keys
    this.#record = record
    this.#timer = setInterval(() => this.renew(), RENEW_MS)
    this.renew()
  }

  update(change: Partial<Omit<BackendRecord, 'id'>>): void {
    const before = this.#record
    this.#record = { ...before, ...change, id: before.id }
    const { active: _, ...told } = before
    const { active: __, ...now } = this.#record
    if (JSON.stringify(told) === JSON.stringify(now)) return
    this.#untold = true
    this.renew()
  }

  /** Now; after the renewal that is under way, if there is one. */
  renew(): void {
    if (this.#state !== 'announced' || !this.#connection.connected) return
    if (this.#renewing !== undefined) return
    this.#renewing = this.#renewOnce().finally(() => {
      this.#renewing = undefined
      if (this.#untold && this.#connection.connected) setImmediate(() => this.renew())
    })
  }

  async #renewOnce(): Promise<void> {
    const record = this.#record
    const told = !this.#untold
    this.#untold = false
    const text = encodeLease({ record, nonce: this.#nonce })
    const pipeline = this.#connection.client
      .pipeline()
      .set(this.#keys.lease(record.id), text, 'PX', LEASE_MS, 'GET')
      .sadd(this.#keys.ids, record.id)
    if (!told) pipeline.publish(this.#keys.events, 'changed')
    try {
      const results = await pipeline.exec()
      const failed = results?.find(([error]) => error !== null)?.[0]
      if (failed) throw failed
      this.#noticeRival(results?.[0]?.[1])
    } catch (error) {
      // Told or not, nobody can say: the next renewal tells again.
      this.#untold ||= !told
      if (this.#connection.connected) this.#connection.complain(`cannot announce ${record.id}`, error)
    }
  }

  /** Two agents with one id would take the lease from each other for ever. */
  #noticeRival(before: unknown): void {
    const other = typeof before === 'string' ? decodeLease(before) : undefined
    // The first renewal may well meet the lease of this agent's own former process.
    if (this.#renewals++ === 0 || other === undefined || other.nonce === this.#nonce) return
    const rival = new Error(`another agent announces ${this.#record.id} too; ids must differ`)
    this.#connection.complain(`two agents are called ${this.#record.id}`, rival)
  }

  async withdraw(): Promise<void> {
    if (this.#state === 'withdrawn') return
    this.#state = 'withdrawn'
    clearInterval(this.#timer)
    await this.#renewing
    if (!this.#connection.connected) return
    const { id } = this.#record
    try {
      const keys = [this.#keys.lease(id), this.#keys.ids, this.#keys.events]
      await this.#connection.client.eval(WITHDRAW, keys.length, ...keys, this.#nonce, id)
    } catch (error) {
      this.#connection.complain(`cannot withdraw ${id}; its lease ends in ${LEASE_MS} ms`, error)
    }
  }
}
