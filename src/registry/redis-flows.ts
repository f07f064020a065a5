import { setImmediate as nextTurn } from 'node:timers/promises'
import { Cluster } from 'ioredis'
import { BatonError } from '../errors/index.js'
import type { FlowKey } from '../kernel/flow.js'
import { FlowQueue, type FlowWrite } from './flow-queue.js'
import { FlowScript } from './flow-script.js'
import type { RedisConnection } from './redis-connection.js'
import { decodeFlow, encodeFlow, generationAt, type RedisKeys } from './redis-keys.js'
import type { FlowRecord } from './registry.js'

/** About 30 MB of waiting writes: ten seconds of handoffs at full speed. */
export const MAX_QUEUED_WRITES = 100_000
const BATCH_WRITES = 512
/** After a batch that did not get through while Redis seems to be there. */
const RETRY_MS = 250
/** After Redis came back, perhaps empty: what the frontends have, they have written again by then. */
const NOTES_BACK_MS = 3000
/** Error answers that say "later", not "never". */
const LATER = /^(READONLY|LOADING|CLUSTERDOWN|TRYAGAIN|MASTERDOWN|BUSY|MOVED|ASK|NOREPLICAS)\b/

/** Notes of flows on their way to Redis, a batch at a time; and the way back. */
export class RedisFlows {
  readonly #connection: RedisConnection
  readonly #keys: RedisKeys
  readonly #queue = new FlowQueue(MAX_QUEUED_WRITES)
  #pump: Promise<void> | undefined
  #retry: NodeJS.Timeout | undefined
  #believeAbsenceAt = 0

  constructor(connection: RedisConnection, keys: RedisKeys) {
    this.#connection = connection
    this.#keys = keys
    let wasUp = false
    connection.onUp(() => {
      if (wasUp) this.#believeAbsenceAt = performance.now() + NOTES_BACK_MS
      wasUp = true
      void this.flush()
    })
  }

  get queued(): number {
    return this.#queue.size
  }

  get dropped(): number {
    return this.#queue.dropped
  }

  put(flows: readonly FlowRecord[]): void {
    for (const flow of flows) this.#queue.add({ kind: 'put', key: flow.key, flow })
    void this.flush()
  }

  remove(keys: readonly FlowKey[]): void {
    for (const key of keys) this.#queue.add({ kind: 'remove', key })
    void this.flush()
  }

  /** Resolves when nothing waits, or Redis is away. */
  flush(): Promise<void> {
    if (this.#queue.size === 0 || !this.#connection.connected) return this.#pump ?? Promise.resolve()
    this.#pump ??= this.#drain().finally(() => {
      this.#pump = undefined
    })
    return this.#pump
  }

  async #drain(): Promise<void> {
    // What one turn of the loop has to say goes in one pipeline.
    await nextTurn()
    while (this.#queue.size > 0 && this.#connection.connected) {
      const batch = this.#queue.take(BATCH_WRITES)
      try {
        const later = await this.#write(batch)
        this.#queue.giveBack(later)
        if (later.length > 0) return this.#retryLater()
      } catch (error) {
        // Times out or breaks off: whatever got through may be written again without harm.
        this.#queue.giveBack(batch)
        if (this.#connection.connected) this.#connection.complain('flow notes wait', error)
        return this.#retryLater()
      }
    }
  }

  #retryLater(): void {
    this.#retry ??= setTimeout(() => {
      this.#retry = undefined
      void this.flush()
    }, RETRY_MS)
  }

  stopRetries(): void {
    clearTimeout(this.#retry)
  }

  /** Writes a batch; returns those that Redis could not take for the moment. @throws when the connection fails */
  async #write(batch: readonly FlowWrite[]): Promise<FlowWrite[]> {
    const { client } = this.#connection
    const generation = generationAt(Date.now())
    // In a cluster the keys of one script must be in one slot: a script for each shard.
    const scripts = new Map<string, FlowScript>()
    for (const write of batch) {
      const current = this.#keys.flows(write.key, generation)
      const slot = client instanceof Cluster ? current : ''
      let script = scripts.get(slot)
      if (script === undefined) {
        script = new FlowScript(generation)
        scripts.set(slot, script)
      }
      if (write.kind === 'put') script.set(write, current, encodeFlow(write.flow))
      else {
        script.delete(write, current)
        script.delete(write, this.#keys.flows(write.key, generation - 1))
      }
    }
    const refusals = await Promise.all([...scripts.values()].map((script) => script.run(client)))
    const later = new Set<FlowWrite>()
    const never = new Set<FlowWrite>()
    for (const { write, message } of refusals.flat()) {
      if (LATER.test(message)) later.add(write)
      else {
        never.add(write)
        this.#connection.complain('flow notes are refused', new Error(message))
      }
    }
    this.#queue.lose(never.size)
    return [...later]
  }

  /** @throws BatonError BATON_REGISTRY_UNAVAILABLE: also for a flow without a note while Redis has only just come back */
  async find(key: FlowKey): Promise<FlowRecord | undefined> {
    const waiting = this.#queue.get(key)
    if (waiting !== undefined) return waiting.kind === 'put' ? waiting.flow : undefined
    if (!this.#connection.connected) throw new BatonError('BATON_REGISTRY_UNAVAILABLE')
    const generation = generationAt(Date.now())
    const pipeline = this.#connection.client.pipeline()
    // The newest counts; the next one is there when another host's clock is ahead of ours.
    for (const at of [generation + 1, generation, generation - 1])
      pipeline.hget(this.#keys.flows(key, at), key)
    try {
      for (const [error, text] of (await pipeline.exec()) ?? []) {
        if (error) throw error
        const flow = typeof text === 'string' ? decodeFlow(key, text) : undefined
        if (flow !== undefined) return flow
      }
    } catch (cause) {
      throw new BatonError('BATON_REGISTRY_UNAVAILABLE', { cause })
    }
    if (performance.now() < this.#believeAbsenceAt) {
      throw new BatonError('BATON_REGISTRY_UNAVAILABLE', { detail: 'Redis may have lost the note.' })
    }
    return undefined
  }
}
