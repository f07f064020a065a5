import { type FlowKey, flowId } from '../kernel/flow.js'
import type { ParkingLimits } from './types.js'

interface Lot {
  readonly frames: Buffer[]
  bytes: number
}

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

  has(key: FlowKey): boolean {
    return this.#lots.has(flowId(key))
  }

  /** Keeps a copy of the frame. */
  add(key: FlowKey, frame: Buffer): void {
    const id = flowId(key)
    let lot = this.#lots.get(id)
    if ((lot?.bytes ?? 0) + frame.length > this.#flowBytes || this.bytes + frame.length > this.#totalBytes) {
      this.dropped++
      return
    }
    if (!lot) {
      lot = { frames: [], bytes: 0 }
      this.#lots.set(id, lot)
    }
    lot.frames.push(Buffer.from(frame))
    lot.bytes += frame.length
    this.frames++
    this.bytes += frame.length
  }

  /** Gives out the flow's frames and forgets them. */
  take(key: FlowKey): readonly Buffer[] {
    if (this.#lots.size === 0) return []
    const id = flowId(key)
    const lot = this.#lots.get(id)
    if (!lot) return []
    this.#lots.delete(id)
    this.frames -= lot.frames.length
    this.bytes -= lot.bytes
    return lot.frames
  }

  clear(): void {
    this.#lots.clear()
    this.frames = 0
    this.bytes = 0
  }
}
