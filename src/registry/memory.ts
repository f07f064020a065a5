import { BatonError } from '../errors/index.js'
import { BackendList } from './backend-list.js'
import type { Announcement, BackendRecord, Registry, RegistryStatus } from './registry.js'

/** What the configuration file says, and what this very process announces. */
export class MemoryRegistry implements Registry {
  readonly #backends: BackendList
  #closed = false

  constructor(configured: readonly BackendRecord[]) {
    this.#backends = new BackendList(configured)
  }

  async start(): Promise<void> {}

  backends(): readonly BackendRecord[] {
    return this.#backends.merged
  }

  onBackends(listener: (backends: readonly BackendRecord[]) => void): () => void {
    return this.#backends.listen(listener)
  }

  announce(record: BackendRecord): Announcement {
    if (this.#closed) throw new BatonError('BATON_REGISTRY_CLOSED')
    let current: BackendRecord | undefined
    const isOurs = () => this.#backends.announced.get(record.id) === current
    const set = (next: BackendRecord | undefined) => {
      const announced = new Map(this.#backends.announced)
      if (next === undefined) announced.delete(record.id)
      else announced.set(record.id, next)
      current = next
      this.#backends.setAnnounced(announced)
    }
    set(record)
    // Withdrawn, or somebody else announced the same id since: what is there now is not ours to change.
    return {
      update: (change) => {
        if (current !== undefined && isOurs()) set({ ...current, ...change, id: record.id })
      },
      withdraw: async () => {
        if (current !== undefined && isOurs()) set(undefined)
      },
    }
  }

  /**
   * Notes of flows are for other frontends, and none can read them here: this process has its flow table. Kept all the
   * same they were 2 KB for each connection, for up to two hours.
   */
  putFlows(): void {}

  removeFlows(): void {}

  async findFlow(): Promise<undefined> {
    return undefined
  }

  renewFlowsFrom(): void {}

  status(): RegistryStatus {
    return { kind: 'memory', connected: true, queuedWrites: 0, droppedWrites: 0 }
  }

  async close(): Promise<void> {
    this.#closed = true
  }
}
