import type { HandoffId } from './messages.js'

const SLOTS = 4096

/**
 * What is under way, by its id. Ids come one after the other and live for milliseconds, so each has its slot for itself;
 * one whose slot is taken goes into a map. A Map alone would do, but with this coming and going it makes a new table of
 * itself every hundred handoffs, and the garbage collector takes the dead ones, which point at all that was under way,
 * for alive: 640 bytes a handoff went to the old generation.
 */
export class InFlight<T extends { readonly id: HandoffId }> {
  readonly #slots: (T | undefined)[] = Array.from({ length: SLOTS }, () => undefined)
  readonly #others = new Map<HandoffId, T>()
  #size = 0

  get size(): number {
    return this.#size
  }

  get(id: HandoffId): T | undefined {
    const found = this.#slots[id & (SLOTS - 1)]
    if (found?.id === id) return found
    return this.#others.size === 0 ? undefined : this.#others.get(id)
  }

  /** The id must not be there yet. */
  add(item: T): void {
    const at = item.id & (SLOTS - 1)
    if (this.#slots[at] === undefined) this.#slots[at] = item
    else this.#others.set(item.id, item)
    this.#size++
  }

  /** False when it is not there. */
  delete(id: HandoffId): boolean {
    const at = id & (SLOTS - 1)
    if (this.#slots[at]?.id === id) this.#slots[at] = undefined
    else if (!this.#others.delete(id)) return false
    this.#size--
    return true
  }

  /** All of them, in no order. They may be deleted meanwhile. */
  *values(): Generator<T> {
    if (this.#size > this.#others.size) {
      for (const item of this.#slots) if (item !== undefined) yield item
    }
    yield* this.#others.values()
  }
}
