import { BatonError } from '../errors/index.js'
import { type FlowKey, flowId } from '../kernel/flow.js'
import { BackendList } from './backend-list.js'
import {
  type Announcement,
  type BackendRecord,
  FLOW_GENERATION_MS,
  type FlowRecord,
  type Registry,
  type RegistryStatus,
} from './registry.js'

/** What the configuration file says, and what this very process announces. */
export class MemoryRegistry implements Registry {
  readonly #backends: BackendList
  #flows = new Map<string, FlowRecord>()
  /** Of the generation before: dropped with the next change of generations. */
  #olderFlows = new Map<string, FlowRecord>()
  #generationSince = performance.now()
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

  putFlows(flows: readonly FlowRecord[]): void {
    if (performance.now() - this.#generationSince > FLOW_GENERATION_MS) {
      this.#olderFlows = this.#flows
      this.#flows = new Map()
      this.#generationSince = performance.now()
    }
    for (const flow of flows) this.#flows.set(flowId(flow.key), flow)
  }

  removeFlows(keys: readonly FlowKey[]): void {
    for (const key of keys) {
      this.#flows.delete(flowId(key))
      this.#olderFlows.delete(flowId(key))
    }
  }

  async findFlow(key: FlowKey): Promise<FlowRecord | undefined> {
    return this.#flows.get(flowId(key)) ?? this.#olderFlows.get(flowId(key))
  }

  /** Nothing to do: nobody outside this process reads the notes. */
  renewFlowsFrom(): void {}

  status(): RegistryStatus {
    return { kind: 'memory', connected: true, queuedWrites: 0, droppedWrites: 0 }
  }

  async close(): Promise<void> {
    this.#closed = true
  }
}
