import { type FlowKey, flowId } from '../kernel/flow.js'
import type { ParkingLimits } from './types.js'

interface Lot {
  readonly frames: Buffer[]
  bytes: number
  /** Frames that came, those over a limit too. */
  came: number
}

/** What waited of one flow. */
export type Taken = Pick<Lot, 'came'> & { readonly frames: readonly Buffer[] }

/** The parked frames of each flow, in the order of their arrival, within limits. */
export class Parking {
  readonly #lots = new Map<string, Lot>()
  readonly #flowBytes: number
  readonly #totalBytes: number
  frames = 0
  bytes = 0
  /** Frames that were over a limit. */
  dropped = 0

  constructor(limits: ParkingLimits = {}) {
    this.#flowBytes = limits.flowBytes ?? 1 << 20
    this.#totalBytes = limits.totalBytes ?? 64 << 20
  }

  /** Whether no frame came of any flow, since its last take(). */
  get isEmpty(): boolean {
    return this.#lots.size === 0
  }

  /** Whether frames of the flow came, were it over a limit. */
  has(key: FlowKey): boolean {
    return this.#lots.has(flowId(key))
  }

  /** Keeps a copy of the frame. */
  add(key: FlowKey, frame: Buffer): void {
    const id = flowId(key)
    let lot = this.#lots.get(id)
    if (!lot) {
      lot = { frames: [], bytes: 0, came: 0 }
      this.#lots.set(id, lot)
    }
    lot.came++
    if (lot.bytes + frame.length > this.#flowBytes || this.bytes + frame.length > this.#totalBytes) {
      this.dropped++
      return
    }
    lot.frames.push(Buffer.from(frame))
    lot.bytes += frame.length
    this.frames++
    this.bytes += frame.length
  }

  /** Gives out the flow's frames and forgets them; undefined: none came. */
  take(key: FlowKey): Taken | undefined {
    if (this.#lots.size === 0) return undefined
    const id = flowId(key)
    const lot = this.#lots.get(id)
    if (!lot) return undefined
    this.#lots.delete(id)
    this.frames -= lot.frames.length
    this.bytes -= lot.bytes
    return lot
  }

  clear(): void {
    this.#lots.clear()
    this.frames = 0
    this.bytes = 0
  }
}
