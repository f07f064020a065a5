import { FLOW_KEY_BYTES } from '../kernel/flow.js'
import { identityBytes } from './layout.js'

/** Entries that end together. */
interface Group {
  readonly deadlineMs: number
  readonly keys: Buffer
  readonly identities: Buffer
  readonly count: number
  done: number
}

/** How many are removed before the event loop has its turn again: some milliseconds. */
const sliceCount = 2048

/**
 * The lingering entries in the order of their end, and one coarse timer. `remove` gets keys, and the beginning of each
 * value as it was when the entry began to linger: one that was written again since then is another's.
 */
export class Expiry {
  readonly #groups: Group[] = []
  readonly #lingerMs: number
  readonly #tickMs: number
  readonly #remove: (keys: Buffer, identities: Buffer, count: number) => number
  #timer: NodeJS.Timeout | undefined
  /** Entries that wait; some may be gone already, by a SYN that ended them. */
  waiting = 0
  /** Entries whose time came, and which were gone by then. */
  missing = 0

  constructor(lingerMs: number, remove: (keys: Buffer, identities: Buffer, count: number) => number) {
    this.#lingerMs = lingerMs
    this.#tickMs = Math.min(1000, Math.max(10, lingerMs / 4))
    this.#remove = remove
  }

  /** The buffers are the queue's from now on. */
  add(keys: Buffer, identities: Buffer, count: number): void {
    if (count === 0) return
    this.#groups.push({ deadlineMs: performance.now() + this.#lingerMs, keys, identities, count, done: 0 })
    this.waiting += count
    this.#schedule(this.#tickMs)
  }

  /** Forgets all, removes nothing. */
  clear(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#groups.length = 0
    this.waiting = 0
  }

  #schedule(delayMs: number): void {
    this.#timer ??= setTimeout(() => this.#tick(), delayMs).unref()
  }

  #tick(): void {
    this.#timer = undefined
    const nowMs = performance.now()
    let budget = sliceCount
    let finished = 0
    for (const group of this.#groups) {
      if (group.deadlineMs > nowMs || budget === 0) break
      const count = Math.min(budget, group.count - group.done)
      const removed = this.#remove(
        group.keys.subarray(group.done * FLOW_KEY_BYTES),
        group.identities.subarray(group.done * identityBytes),
        count,
      )
      this.missing += count - removed
      group.done += count
      budget -= count
      this.waiting -= count
      if (group.done < group.count) break
      finished++
    }
    this.#groups.splice(0, finished)
    if (this.#groups.length > 0) this.#schedule(budget === 0 ? 1 : this.#tickMs)
  }
}
