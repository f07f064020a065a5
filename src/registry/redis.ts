import { setTimeout as sleep } from 'node:timers/promises'
import type { RegistryConfig } from '../config/index.js'
import { BatonError } from '../errors/index.js'
import type { FlowKey } from '../kernel/flow.js'
import { BackendList } from './backend-list.js'
import { FlowRenewal } from './flow-renewal.js'
import { RedisConnection } from './redis-connection.js'
import { RedisFlows } from './redis-flows.js'
import { RedisKeys } from './redis-keys.js'
import { RedisLease } from './redis-lease.js'
import { RedisWatch } from './redis-watch.js'
import type {
  Announcement,
  BackendRecord,
  FlowRecord,
  Registry,
  RegistryLogger,
  RegistryStatus,
} from './registry.js'

/** How long start() waits for Redis, and close() for what is queued. */
const START_MS = 2000
const CLOSE_MS = 1000

/** Backends and flows in Redis, shared by all frontends and agents with the same URL and prefix. */
export class RedisRegistry implements Registry {
  readonly #connection: RedisConnection
  readonly #keys: RedisKeys
  readonly #list: BackendList
  readonly #watch: RedisWatch | undefined
  readonly #flows: RedisFlows
  readonly #renewal: FlowRenewal
  readonly #leases = new Set<RedisLease>()
  #started: Promise<void> | undefined
  #closed: Promise<void> | undefined

  constructor(
    config: RegistryConfig & { readonly kind: 'redis' },
    options: { backends: readonly BackendRecord[]; logger: RegistryLogger; watch: boolean },
  ) {
    this.#keys = new RedisKeys(config.keyPrefix)
    this.#list = new BackendList(options.backends)
    this.#connection = new RedisConnection(config.target, options.logger)
    this.#flows = new RedisFlows(this.#connection, this.#keys)
    this.#renewal = new FlowRenewal(this.#flows)
    this.#watch = options.watch
      ? new RedisWatch(this.#connection, this.#keys, this.#list, config.target)
      : undefined
    this.#connection.onUp(() => {
      for (const lease of this.#leases) lease.renew()
      this.#renewal.renew()
    })
  }

  start(): Promise<void> {
    this.#assertOpen()
    this.#started ??= this.#connect()
    return this.#started
  }

  async #connect(): Promise<void> {
    const answers = new Promise<void>((resolve) => this.#connection.onUp(resolve))
    this.#connection.open()
    this.#watch?.open()
    await Promise.race([answers.then(() => this.#watch?.scan()), sleep(START_MS, undefined, { ref: false })])
  }

  backends(): readonly BackendRecord[] {
    return this.#list.merged
  }

  onBackends(listener: (backends: readonly BackendRecord[]) => void): () => void {
    return this.#list.listen(listener)
  }

  announce(record: BackendRecord): Announcement {
    this.#assertOpen()
    const lease = new RedisLease(this.#connection, this.#keys, record)
    this.#leases.add(lease)
    return {
      update: (change) => lease.update(change),
      withdraw: async () => {
        this.#leases.delete(lease)
        await lease.withdraw()
      },
    }
  }

  putFlows(flows: readonly FlowRecord[]): void {
    this.#flows.put(flows)
  }

  removeFlows(keys: readonly FlowKey[]): void {
    this.#flows.remove(keys)
  }

  async findFlow(key: FlowKey): Promise<FlowRecord | undefined> {
    this.#assertOpen()
    return this.#flows.find(key)
  }

  renewFlowsFrom(source: () => Iterable<FlowRecord>): void {
    this.#renewal.source = source
  }

  status(): RegistryStatus {
    return {
      kind: 'redis',
      connected: this.#connection.connected,
      queuedWrites: this.#flows.queued,
      droppedWrites: this.#flows.dropped,
    }
  }

  close(): Promise<void> {
    this.#closed ??= this.#finish()
    return this.#closed
  }

  async #finish(): Promise<void> {
    this.#renewal.close()
    const said = Promise.all([...[...this.#leases].map((lease) => lease.withdraw()), this.#flows.flush()])
    await Promise.race([said, sleep(CLOSE_MS, undefined, { ref: false })])
    this.#flows.stopRetries()
    this.#watch?.close()
    this.#connection.close()
  }

  #assertOpen(): void {
    if (this.#closed !== undefined) throw new BatonError('BATON_REGISTRY_CLOSED')
  }
}
