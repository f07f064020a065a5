import { BatonError } from '../errors/index.js'
import type { BpfMap } from '../kernel/bpf.js'
import type { Endpoint, FlowKey } from '../kernel/flow.js'
import type { Tap } from '../kernel/tap.js'
import { Expiry } from './expiry.js'
import type { FlowCount } from './flow-count.js'
import { writeListeners } from './listeners.js'
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

/** Of playing back, at one time: a sender that is faster than this process gets past what it parked. */
const maxRounds = 64

/**
 * Order is kept by the order of steps. A flow of which frames wait is set to `play`: new ones still wait, those written
 * back go on. When none is left the flow is opened, and the TAP is looked at once more, for one that came in between.
 */
export class OpenSteering implements Steering {
  readonly attached: 'tcx' | 'clsact'
  readonly leftParked: readonly ParkEntry[]
  readonly #parts: SteeringParts
  readonly #table: FlowTable
  readonly #expiry: Expiry
  readonly #passing: Expiry
  readonly #waiting: Waiting
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
  }

  park(entries: readonly ParkEntry[]): void {
    this.#assertOpen()
    if (entries.length > 0) this.#table.put('park', entries)
  }

  steer(entries: readonly SteerEntry[]): void {
    this.#assertOpen()
    if (entries.length === 0) return
    const waiting = this.#withFrames(entries, ({ key }) => key)
    if (waiting.length === 0) {
      this.#table.put('steer', entries)
    } else {
      this.#table.check(entries)
      const played = new Set(waiting)
      this.#table.put(
        'steer',
        entries.filter((entry) => !played.has(entry)),
      )
      this.#table.put('play', waiting)
      const keys = waiting.map(({ key }) => key)
      this.#playAllAndOpen(keys)
    }
    this.#playLate(entries.map(({ key }) => key))
  }

  unpark(keys: readonly FlowKey[]): void {
    this.#assertOpen()
    if (keys.length === 0) return
    const waiting = this.#withFrames(keys, (key) => key)
    const known = waiting.filter((key) => this.#table.state(key) !== undefined)
    if (known.length > 0) {
      this.#table.put(
        'play',
        known.map((key) => ({ key, id: 0, nextHop: null })),
      )
      this.#playAll(known)
    }
    this.#giveBack(keys)
    this.#playLate(keys)
  }

  linger(keys: readonly FlowKey[]): FlowCounters[] {
    this.#assertOpen()
    if (keys.length === 0) return []
    const { counters, lingering } = this.#table.linger(keys)
    this.#expiry.add(lingering.keys, lingering.identities, lingering.count)
    for (const key of keys) this.#waiting.ended(key)
    return counters
  }

  lingerOf(entries: readonly EndedFlow[]): readonly LingerVerdict[] {
    this.#assertOpen()
    if (entries.length === 0) return []
    const { found, lingering } = this.#table.lingerOf(entries)
    this.#expiry.add(lingering.keys, lingering.identities, lingering.count)
    for (const [index, { key }] of entries.entries()) if (found[index] === 'lingers') this.#waiting.ended(key)
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
    this.#waiting.drain()
    this.#table.remove(keys)
    for (const key of keys) this.#waiting.forget(key)
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

  #giveBack(keys: readonly FlowKey[]): void {
    const passing = this.#parts.onUnknown && this.#table.pass(keys)
    if (passing) {
      this.#passing.add(passing.keys, passing.identities, passing.count)
      return
    }
    this.#table.remove(keys)
    // In a table that is full a flow without a socket would only be asked about again: its client sends once more.
    for (const key of keys) this.#waiting.forgetUnknown(key)
  }

  /** Those of whose flows frames wait by now. */
  #withFrames<T>(items: readonly T[], keyOf: (item: T) => FlowKey): T[] {
    this.#waiting.drain()
    return this.#waiting.isEmpty ? [] : items.filter((item) => this.#waiting.has(keyOf(item)))
  }

  /** Plays back until no more come: what arrives meanwhile is parked behind. */
  #playAll(keys: readonly FlowKey[]): void {
    for (let round = 0; round < maxRounds; round++) {
      const waiting = keys.filter((key) => this.#waiting.has(key))
      if (waiting.length === 0) return
      for (const key of waiting) this.#waiting.play(key)
      this.#waiting.drain()
    }
  }

  /** A frame that is parked after the last look is overtaken by the next one: so nothing but one call comes after it. */
  #playAllAndOpen(keys: readonly FlowKey[]): void {
    for (let round = 0; ; round++) {
      this.#playAll(keys)
      const open = this.#table.restate(keys, 'steer')
      this.#waiting.drain()
      if (round < maxRounds && keys.some((key) => this.#waiting.has(key))) continue
      open()
      return
    }
  }

  /** What was parked between the last look and the change of the table. */
  #playLate(keys: readonly FlowKey[]): void {
    this.#waiting.drain()
    if (!this.#waiting.isEmpty) for (const key of keys) this.#waiting.play(key)
  }

  #assertOpen(): void {
    if (this.#state !== 'open') throw new BatonError('BATON_STEERING_CLOSED')
  }
}
