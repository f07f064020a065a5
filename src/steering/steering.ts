import { BatonError } from '../errors/index.js'
import type { BpfMap } from '../kernel/bpf.js'
import type { Endpoint, FlowKey } from '../kernel/flow.js'
import type { Tap } from '../kernel/tap.js'
import { ParkedCounts } from './counts.js'
import { Expiry } from './expiry.js'
import type { FlowCount } from './flow-count.js'
import { writeListeners } from './listeners.js'
import { Opening } from './opening.js'
import { FlowTable } from './table.js'
import { readTotals } from './totals.js'
import type {
  EndedFlow,
  FlowCounters,
  FlowEntry,
  IdleFlow,
  LingerVerdict,
  ParkEntry,
  ParkingLimits,
  SteerEntry,
  Steering,
  SteeringLogger,
  SteeringStats,
} from './types.js'
import { Waiting } from './waiting.js'

/** What opening put together. */
export interface SteeringParts {
  readonly attached: 'tcx' | 'clsact'
  readonly flows: BpfMap
  readonly totals: BpfMap
  readonly listeners: BpfMap
  readonly parked: BpfMap
  readonly flowCount: FlowCount
  readonly tap: Tap
  readonly logger: SteeringLogger | undefined
  readonly lingerMs: number
  readonly limits: ParkingLimits | undefined
  /** Undefined: flows that nobody knows are the local stack's. */
  readonly onUnknown: ((key: FlowKey) => void) | undefined
  /** Closes the descriptors; TAP and lock among them. */
  readonly release: () => void
  /** Takes program and pins away. */
  readonly remove: () => void
}

/** How long a flow that was given back passes unasked. By then it has a socket, or has had its RST. */
const passMs = 2000

/**
 * A flow of which frames wait is set to `play`: new ones still wait, those written back go on, and {@link Opening} sees
 * that the new do not overtake the old.
 */
export class OpenSteering implements Steering {
  readonly attached: 'tcx' | 'clsact'
  readonly leftParked: readonly ParkEntry[]
  readonly #parts: SteeringParts
  readonly #table: FlowTable
  readonly #expiry: Expiry
  readonly #passing: Expiry
  readonly #waiting: Waiting
  readonly #counts: ParkedCounts
  readonly #opening: Opening
  /** Lingering entries that a SYN ended before this process. */
  readonly #synsBefore: number
  #state: 'open' | 'closed' | 'detached' = 'open'

  constructor(parts: SteeringParts) {
    this.#parts = parts
    this.attached = parts.attached
    this.#table = new FlowTable(parts.flows)
    const expire = (keys: Buffer, identities: Buffer, count: number) =>
      this.#table.removeLingering(keys, identities, count)
    this.#expiry = new Expiry(parts.lingerMs, expire)
    this.#passing = new Expiry(passMs, expire)
    this.#synsBefore = readTotals(parts.totals).lingerSyns
    const { parked, lingering } = this.#table.inventory()
    this.leftParked = parked
    for (const group of lingering) this.#expiry.add(group.keys, group.identities, group.count)
    this.#waiting = new Waiting({ ...parts, table: this.#table })
    this.#counts = new ParkedCounts(parts.parked)
    this.#opening = new Opening({ table: this.#table, counts: this.#counts, waiting: this.#waiting })
    this.#waiting.watch(() => this.#drain())
  }

  park(entries: readonly ParkEntry[]): void {
    this.#assertOpen()
    if (entries.length > 0) this.#table.put('park', entries)
  }

  steer(entries: readonly SteerEntry[]): void {
    this.#assertOpen()
    if (entries.length === 0) return
    const due = this.#table.unsteered(entries)
    if (due.length === 0) return
    const playing = this.#waiting.isEmpty ? [] : due.filter(({ key }) => this.#waiting.has(key))
    // What the TAP holds of the others is behind their gates; of flows that nobody knew, nothing is.
    if (playing.length > 0) this.#drain()
    this.#table.put('steer', playing.length === 0 ? due : due.filter((entry) => !playing.includes(entry)))
    if (playing.length > 0) this.#table.put('play', playing)
    this.#opening.open(
      due.map(({ key }) => key),
      'steer',
    )
  }

  unpark(keys: readonly FlowKey[]): void {
    this.#assertOpen()
    if (keys.length === 0) return
    this.#drain()
    const playing = new Set(
      keys.filter((key) => this.#waiting.has(key) && this.#table.state(key) !== undefined),
    )
    this.#table.put(
      'play',
      [...playing].map((key) => ({ key, id: 0, nextHop: null })),
    )
    const hasRoom = this.#table.pass(keys.filter((key) => !playing.has(key)))
    this.#opening.open(keys, 'pass')
    if (hasRoom && this.#parts.onUnknown) {
      const passing = this.#table.passing(keys)
      this.#passing.add(passing.keys, passing.identities, passing.count)
      return
    }
    this.#table.remove(keys)
  }

  linger(keys: readonly FlowKey[]): FlowCounters[] {
    this.#assertOpen()
    if (keys.length === 0) return []
    const { counters, lingering } = this.#table.linger(keys)
    this.#expiry.add(lingering.keys, lingering.identities, lingering.count)
    this.#end(keys)
    return counters
  }

  lingerOf(entries: readonly EndedFlow[]): readonly LingerVerdict[] {
    this.#assertOpen()
    if (entries.length === 0) return []
    const { found, lingering } = this.#table.lingerOf(entries)
    this.#expiry.add(lingering.keys, lingering.identities, lingering.count)
    if (!this.#waiting.isEmpty || this.#waiting.holdsSyns) {
      this.#end(entries.filter((_, index) => found[index] === 'lingers').map(({ key }) => key))
    }
    return found
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

  idle(idleMs: number): Iterable<readonly IdleFlow[]> {
    this.#assertOpen()
    return this.#table.idle(idleMs)
  }

  drop(keys: readonly FlowKey[]): void {
    this.#assertOpen()
    if (keys.length === 0) return
    // Frames that wait in the TAP belong to the flows as long as the table says so.
    this.#drain()
    this.#table.remove(keys)
    this.#counts.remove(keys.filter((key) => this.#waiting.forget(key) > 0))
  }

  setListeners(listeners: readonly Endpoint[]): void {
    this.#assertOpen()
    writeListeners(this.#parts.listeners, listeners)
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
    const totals = readTotals(this.#parts.totals)
    const gone = totals.lingerSyns - this.#synsBefore - this.#expiry.missing
    return {
      flows: this.#parts.flowCount.read(),
      maxFlows: this.#table.maxFlows,
      lingering: Math.max(0, this.#expiry.waiting - Math.max(0, gone)),
      ...this.#waiting.stats(),
      ...totals,
    }
  }

  close(): void {
    if (this.#state !== 'open') return
    this.#state = 'closed'
    this.#expiry.clear()
    this.#passing.clear()
    this.#waiting.clear()
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
    const late = this.#waiting.drain()
    if (late.length > 0) this.#opening.open(late, 'steer')
  }

  /** The flows' connections are over. */
  #end(keys: readonly FlowKey[]): void {
    this.#counts.remove(keys.filter((key) => this.#waiting.ended(key) > 0))
  }

  #assertOpen(): void {
    if (this.#state !== 'open') throw new BatonError('BATON_STEERING_CLOSED')
  }
}
