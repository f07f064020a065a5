import { type FlowKey, flowId } from '../kernel/flow.js'
import type { FlowRecord } from './registry.js'

/** The last word about a flow: who holds it, or that nobody does. */
export type FlowWrite =
  | { readonly kind: 'put'; readonly key: FlowKey; readonly flow: FlowRecord }
  | { readonly kind: 'remove'; readonly key: FlowKey }

/** Writes that wait, the oldest first, one for each flow; when there are too many the oldest goes. */
export class FlowQueue {
  readonly #limit: number
  readonly #writes = new Map<string, FlowWrite>()
  #dropped = 0

  constructor(limit: number) {
    this.#limit = limit
  }

  get size(): number {
    return this.#writes.size
  }

  get dropped(): number {
    return this.#dropped
  }

  get(key: FlowKey): FlowWrite | undefined {
    return this.#writes.get(flowId(key))
  }

  add(write: FlowWrite): void {
    const id = flowId(write.key)
    // To the end: what is said last is the youngest.
    this.#writes.delete(id)
    this.#writes.set(id, write)
    if (this.#writes.size <= this.#limit) return
    for (const oldest of this.#writes.keys()) {
      this.#writes.delete(oldest)
      this.#dropped++
      return
    }
  }

  take(count: number): FlowWrite[] {
    const taken: FlowWrite[] = []
    for (const [id, write] of this.#writes) {
      if (taken.length === count) break
      taken.push(write)
      this.#writes.delete(id)
    }
    return taken
  }

  /** Writes that did not get through wait again, unless something newer was said of their flow, or it is full. */
  giveBack(writes: readonly FlowWrite[]): void {
    for (const write of writes) {
      const id = flowId(write.key)
      if (this.#writes.has(id)) continue
      if (this.#writes.size >= this.#limit) this.#dropped++
      else this.#writes.set(id, write)
    }
  }

  /** Writes that were refused for good. */
  lose(count: number): void {
    this.#dropped += count
  }
}
