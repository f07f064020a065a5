import { type FlowKey, flowId } from '../kernel/flow.js'
import { Parking } from './parking.js'

/** How long an answer is waited for. */
const answerMs = 5000
const maxFlows = 4096
const limits = { flowBytes: 64 << 10, totalBytes: 8 << 20 }

/** Flows that the process was asked about, and their frames until the answer. Apart from the parked ones: a flood of
 * strays must not take their room. */
export class UnknownFlows {
  readonly #parking = new Parking(limits)
  /** In the order of their first frame. */
  readonly #waiting = new Map<string, { readonly key: FlowKey; readonly sinceMs: number }>()

  /** Keeps a frame. @returns whether this is a flow that nobody was asked about yet */
  add(key: FlowKey, frame: Buffer): boolean {
    this.#expire()
    const id = flowId(key)
    const isNew = !this.#waiting.has(id)
    if (isNew) {
      if (this.#waiting.size >= maxFlows) return false
      this.#waiting.set(id, { key, sinceMs: performance.now() })
    }
    this.#parking.add(key, frame)
    return isNew
  }

  has(key: FlowKey): boolean {
    return this.#waiting.has(flowId(key))
  }

  get isEmpty(): boolean {
    return this.#waiting.size === 0
  }

  /** The answer has come: gives out the frames. */
  take(key: FlowKey): readonly Buffer[] {
    if (this.#waiting.size === 0) return []
    this.#waiting.delete(flowId(key))
    return this.#parking.take(key)?.frames ?? []
  }

  clear(): void {
    this.#waiting.clear()
    this.#parking.clear()
  }

  #expire(): void {
    const oldestMs = performance.now() - answerMs
    for (const [id, { key, sinceMs }] of this.#waiting) {
      if (sinceMs > oldestMs) return
      this.#waiting.delete(id)
      this.#parking.take(key)
    }
  }
}
