import { type FlowKey, flowId } from '../kernel/flow.js'
import type { ParkedCounts } from './counts.js'
import type { FlowTable } from './table.js'
import type { Waiting } from './waiting.js'

/** Of looking for more, at one time: a sender that is faster than this process gets past what it parked. */
const maxRounds = 64

export interface OpeningParts {
  readonly table: FlowTable
  readonly counts: ParkedCounts
  readonly waiting: Waiting
}

/**
 * Plays parked frames back, and lets their flows go on in the order of arrival. The process cannot look at what waits and
 * change the table in one, so the program does it: each flow has a gate that opens when as many frames were played as
 * were parked, and what comes before that waits behind them.
 */
export class Opening {
  readonly #parts: OpeningParts

  constructor(parts: OpeningParts) {
    this.#parts = parts
  }

  /** Flows of which frames wait, or may. @param to what becomes of those that play; others stay what they are */
  open(keys: readonly FlowKey[], to: 'steer' | 'pass'): void {
    const { counts, waiting } = this.#parts
    if (waiting.isEmpty && this.#areAllOpen(keys)) return
    const flows = new Map(keys.map((key) => [flowId(key), key]))
    for (let round = 0; round < maxRounds; round++) {
      const played = [...flows.values()].filter((key) => waiting.has(key))
      if (played.length > 0) this.#play(played, to)
      else if (this.#areAllOpen([...flows.values()])) return
      for (const late of waiting.drain()) flows.set(flowId(late), late)
    }
    // Frames that will not come: the TAP was full, or is gone.
    counts.remove([...flows.values()])
    for (const key of flows.values()) waiting.play(key)
  }

  #play(keys: readonly FlowKey[], to: 'steer' | 'pass'): void {
    const { table, waiting } = this.#parts
    const frames = keys.map((key) => waiting.play(key))
    table.played(keys, frames, to)
  }

  /** Whether the TAP does not owe a frame any more that the program has parked. Then the counts are needed no longer. */
  #areAllOpen(keys: readonly FlowKey[]): boolean {
    const { table, counts } = this.#parts
    const parked = counts.of(keys)
    const counted = keys.filter((_, index) => parked[index] !== undefined)
    if (counted.length === 0) return true
    const numbers = parked.filter((count) => count !== undefined)
    const gates = table.gates(counted)
    if (gates.some((played, index) => played !== undefined && played !== numbers[index])) return false
    counts.remove(counted)
    return true
  }
}
