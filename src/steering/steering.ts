import { BatonError } from '../errors/index.js'
import type { BpfMap } from '../kernel/bpf.js'
import type { FlowKey } from '../kernel/flow.js'
import type { Tap } from '../kernel/tap.js'
import { Expiry } from './expiry.js'
import { orFail } from './failure.js'
import { frameFlow } from './frame.js'
import { Parking } from './parking.js'
import { FlowTable } from './table.js'
import { readTotals } from './totals.js'
import type {
  FlowCounters,
  FlowEntry,
  ParkEntry,
  ParkingLimits,
  SteerEntry,
  Steering,
  SteeringStats,
} from './types.js'

/** What opening put together. */
export interface SteeringParts {
  readonly attached: 'tcx' | 'clsact'
  readonly flows: BpfMap
  readonly totals: BpfMap
  readonly tap: Tap
  readonly lingerMs: number
  readonly limits: ParkingLimits | undefined
  /** Closes the descriptors; TAP and lock among them. */
  readonly release: () => void
  /** Takes program and pins away. */
  readonly remove: () => void
}

/**
 * Every change goes in the same order: first the table, so that no further frame is parked; then the TAP is drained of
 * those that were; then the flows' frames are written back, and the program sends them where the table says.
 */
export class OpenSteering implements Steering {
  readonly attached: 'tcx' | 'clsact'
  readonly leftParked: readonly ParkEntry[]
  readonly #parts: SteeringParts
  readonly #table: FlowTable
  readonly #parking: Parking
  readonly #expiry: Expiry
  #played = 0
  #state: 'open' | 'closed' | 'detached' = 'open'

  constructor(parts: SteeringParts) {
    this.#parts = parts
    this.attached = parts.attached
    this.#table = new FlowTable(parts.flows)
    this.#parking = new Parking(parts.limits)
    this.#expiry = new Expiry(parts.lingerMs, (keys, identities, count) =>
      this.#table.removeLingering(keys, identities, count),
    )
    const { parked, lingering } = this.#table.inventory()
    this.leftParked = parked
    for (const group of lingering) this.#expiry.add(group.keys, group.identities, group.count)
    parts.tap.watch(() => this.#drain())
  }

  park(entries: readonly ParkEntry[]): void {
    this.#assertOpen()
    if (entries.length > 0) this.#table.put('park', entries)
  }

  steer(entries: readonly SteerEntry[]): void {
    this.#assertOpen()
    if (entries.length === 0) return
    this.#table.put('steer', entries)
    this.#drain()
    for (const entry of entries) this.#play(this.#parking.take(entry.key))
  }

  unpark(keys: readonly FlowKey[]): void {
    this.#assertOpen()
    if (keys.length === 0) return
    this.#table.remove(keys)
    this.#drain()
    for (const key of keys) this.#play(this.#parking.take(key))
  }

  linger(keys: readonly FlowKey[]): FlowCounters[] {
    this.#assertOpen()
    if (keys.length === 0) return []
    const { counters, lingering } = this.#table.linger(keys)
    this.#expiry.add(lingering.keys, lingering.identities, lingering.count)
    if (this.#parking.frames > 0) for (const key of keys) this.#play(this.#parking.take(key))
    return counters
  }

  lingerAll(nextHop: string): number {
    this.#assertOpen()
    let flows = 0
    for (const group of this.#table.lingerAll(nextHop)) {
      this.#expiry.add(group.keys, group.identities, group.count)
      flows += group.count
    }
    return flows
  }

  drop(keys: readonly FlowKey[]): void {
    this.#assertOpen()
    if (keys.length === 0) return
    // Frames that wait in the TAP belong to the flows as long as the table says so.
    this.#drain()
    this.#table.remove(keys)
    for (const key of keys) this.#parking.take(key)
  }

  get(key: FlowKey): FlowEntry | undefined {
    this.#assertOpen()
    return this.#table.get(key)
  }

  entries(): Iterable<[FlowKey, FlowEntry]> {
    this.#assertOpen()
    return this.#table.entries()
  }

  stats(): SteeringStats {
    this.#assertOpen()
    return {
      flows: this.#table.count(),
      maxFlows: this.#table.maxFlows,
      lingering: this.#expiry.waiting,
      parkedFrames: this.#parking.frames,
      parkedBytes: this.#parking.bytes,
      parkedDropped: this.#parking.dropped,
      playedFrames: this.#played,
      ...readTotals(this.#parts.totals),
    }
  }

  close(): void {
    if (this.#state !== 'open') return
    this.#state = 'closed'
    this.#expiry.clear()
    this.#parking.clear()
    this.#parts.release()
  }

  detach(): void {
    if (this.#state === 'detached') return
    if (this.#state === 'closed') throw new BatonError('BATON_STEERING_CLOSED')
    this.#parts.remove()
    this.close()
    this.#state = 'detached'
  }

  #drain(): void {
    const late: Buffer[] = []
    orFail('BATON_STEERING_TABLE', 'the TAP', () =>
      this.#parts.tap.drain((frame) => {
        const key = frameFlow(frame)
        if (!key) return
        // A flow that was steered or given back a moment ago has no lot, and its frame goes straight on.
        if (this.#parking.has(key) || this.#table.state(key) === 'park') this.#parking.add(key, frame)
        else late.push(Buffer.from(frame))
      }),
    )
    this.#play(late)
  }

  #play(frames: readonly Buffer[]): void {
    if (frames.length === 0) return
    this.#played += orFail('BATON_STEERING_TABLE', 'the TAP', () => this.#parts.tap.write(frames))
  }

  #assertOpen(): void {
    if (this.#state !== 'open') throw new BatonError('BATON_STEERING_CLOSED')
  }
}
