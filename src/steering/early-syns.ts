import { type FlowKey, flowId } from '../kernel/flow.js'

const MAX_SYNS = 4096
/** The client sends its SYN again after a second. */
const MAX_AGE_MS = 1000

interface EarlySyn {
  readonly frame: Buffer
  readonly atMs: number
}

/**
 * SYNs of flows that have not ended here yet: the client uses its port again, and was faster than the word of the end.
 * The newest of each flow is kept, for a second.
 */
export class EarlySyns {
  readonly #syns = new Map<string, EarlySyn>()

  get isEmpty(): boolean {
    return this.#syns.size === 0
  }

  /** Keeps a copy. */
  add(key: FlowKey, frame: Buffer, nowMs: number): void {
    const id = flowId(key)
    this.#syns.delete(id)
    for (const [oldest, { atMs }] of this.#syns) {
      if (nowMs - atMs <= MAX_AGE_MS && this.#syns.size < MAX_SYNS) break
      this.#syns.delete(oldest)
    }
    this.#syns.set(id, { frame: Buffer.from(frame), atMs: nowMs })
  }

  /** Gives it out and forgets it; undefined when there is none, or it is too old. */
  take(key: FlowKey, nowMs: number): Buffer | undefined {
    if (this.#syns.size === 0) return undefined
    const id = flowId(key)
    const syn = this.#syns.get(id)
    if (syn === undefined) return undefined
    this.#syns.delete(id)
    return nowMs - syn.atMs <= MAX_AGE_MS ? syn.frame : undefined
  }

  clear(): void {
    this.#syns.clear()
  }
}
