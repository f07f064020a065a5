import { BatonError } from '../errors/index.js'
import type { BpfMap } from '../kernel/bpf.js'
import { copyOf, putBytes } from '../kernel/bytes.js'
import { FLOW_KEY_BYTES, type FlowKey } from '../kernel/flow.js'
import { orFail } from './failure.js'
import {
  type EntryState,
  flowValueLayout,
  hasNextHop,
  identityBytes,
  isIpv6Flow,
  type NextHop,
  nextHopBytes,
  readFlowEntry,
  readFlowGate,
  readFlowId,
  readFlowState,
  readLastSeenMs,
  writeFlowPlayed,
  writeFlowState,
  writeFlowValue,
} from './layout.js'
import type {
  EndedFlow,
  FlowCounters,
  FlowEntry,
  FlowState,
  IdleFlow,
  LingerVerdict,
  ParkEntry,
} from './types.js'

const valueBytes = flowValueLayout.size
const minBatch = 256

/** Lingering entries: what Expiry queues. */
export interface Lingering {
  readonly keys: Buffer
  readonly identities: Buffer
  readonly count: number
}

/** Reads and writes the flows map: one kernel call a batch. Knows nothing of parked frames. */
export class FlowTable {
  readonly #map: BpfMap
  #keys = Buffer.alloc(minBatch * FLOW_KEY_BYTES)
  #values = Buffer.alloc(minBatch * valueBytes)
  #found = Buffer.alloc(minBatch)
  /** Next hops are few: parsed once each. */
  readonly #hops = new Map<string, NextHop>()

  constructor(map: BpfMap) {
    this.#map = map
  }

  get maxFlows(): number {
    return this.#map.info.maxEntries
  }

  /** Writes the entries with fresh counters. @throws BatonError BATON_STEERING_NEXT_HOP before anything is written */
  put(state: EntryState, entries: readonly ParkEntry[]): void {
    this.#reserve(entries.length)
    let index = 0
    for (const entry of entries) {
      const hop = this.#hopOf(entry)
      putBytes(this.#keys, index * FLOW_KEY_BYTES, entry.key)
      writeFlowValue(this.#values, index * valueBytes, state, entry.id, hop)
      index++
    }
    const written = this.#write(entries.length)
    if (written === entries.length) return
    // A flow that has no entry is the local stack's, as before; one that another host owns must keep what it has.
    if (state === 'park') this.#delete(written)
    throw new BatonError('BATON_STEERING_FULL', { detail: `${this.maxFlows} flows` })
  }

  /**
   * Those that are not steered so already. A flow that the program has opened by itself keeps what it has counted, and
   * that its client has sent a FIN. @throws BatonError BATON_STEERING_NEXT_HOP
   */
  unsteered<T extends ParkEntry>(entries: readonly T[]): readonly T[] {
    const hops = entries.map((entry) => this.#hopOf(entry))
    this.#read(entries.map(({ key }) => key))
    const at = flowValueLayout.offsets.next_hop
    return entries.filter(({ id }, index) => {
      const offset = index * valueBytes
      if (this.#found[index] !== 1 || readFlowState(this.#values, offset) !== 'steer') return true
      if (readFlowId(this.#values, offset) !== id) return true
      return hops[index]?.bytes.compare(this.#values, offset + at, offset + at + 16) !== 0
    })
  }

  /** So many frames more of each flow were played. Those that play become `to`; what is gone stays gone. */
  played(keys: readonly FlowKey[], frames: readonly number[], to: 'steer' | 'pass'): void {
    this.#read(keys)
    let count = 0
    for (let index = 0; index < keys.length; index++) {
      if (this.#found[index] !== 1) continue
      if (!writeFlowPlayed(this.#values, index * valueBytes, frames[index] ?? 0, to)) continue
      this.#keep(index, count++)
    }
    this.#write(count)
  }

  /** How many parked frames each flow waits for to go on; undefined: it is gone, or goes on already. */
  gates(keys: readonly FlowKey[]): (number | undefined)[] {
    this.#read(keys)
    return keys.map((_, index) =>
      this.#found[index] === 1 ? readFlowGate(this.#values, index * valueBytes) : undefined,
    )
  }

  /** Lets the flows pass to the local stack whatever the program thinks of them. @returns whether the table had room */
  pass(keys: readonly FlowKey[]): boolean {
    this.#fillPassing(keys)
    return this.#write(keys.length) === keys.length
  }

  /** What Expiry needs to end the passing of these flows. */
  passing(keys: readonly FlowKey[]): Lingering {
    this.#fillPassing(keys)
    return this.#lingering(keys.length)
  }

  /** Removes the entries. */
  remove(keys: readonly FlowKey[]): void {
    this.#fillKeys(keys)
    this.#delete(keys.length)
  }

  /** Removes those of the queued entries that still are as they were queued. @returns how many those were */
  removeLingering(keys: Buffer, identities: Buffer, count: number): number {
    return orFail('BATON_STEERING_TABLE', undefined, () =>
      this.#map.deleteMatching(keys, identities, identityBytes, count),
    )
  }

  get(key: FlowKey): FlowEntry | undefined {
    return this.#read([key]) === 1 ? readFlowEntry(this.#values, 0) : undefined
  }

  state(key: FlowKey): FlowState | undefined {
    return this.#read([key]) === 1 ? readFlowState(this.#values, 0) : undefined
  }

  /** Lets entries that have a next hop linger; those without one are removed. */
  linger(keys: readonly FlowKey[]): { readonly counters: FlowCounters[]; readonly lingering: Lingering } {
    this.#read(keys)
    const counters: FlowCounters[] = []
    const homeless: FlowKey[] = []
    let count = 0
    keys.forEach((key, index) => {
      if (this.#found[index] !== 1) {
        counters.push({ packets: 0, bytes: 0, lastSeenMs: 0 })
        return
      }
      const { packets, bytes, lastSeenMs, state, nextHop } = readFlowEntry(this.#values, index * valueBytes)
      counters.push({ packets, bytes, lastSeenMs })
      if (nextHop === null) homeless.push(key)
      else if (state !== 'linger') this.#keep(index, count++)
    })
    const lingering = this.#writeLingering(count)
    if (homeless.length > 0) this.remove(homeless)
    return { counters, lingering }
  }

  /** The same for those that still belong to these handoffs, without reading what was counted. */
  lingerOf(entries: readonly EndedFlow[]): {
    readonly found: LingerVerdict[]
    readonly lingering: Lingering
  } {
    this.#read(entries.map(({ key }) => key))
    const found: LingerVerdict[] = []
    const homeless: FlowKey[] = []
    const seen = entries.length > 1 ? new Set<number>() : undefined
    let count = 0
    for (let index = 0; index < entries.length; index++) {
      const { key, id } = entries[index]!
      const offset = index * valueBytes
      if (this.#found[index] !== 1 || readFlowId(this.#values, offset) !== id) found.push('other')
      else if (seen?.has(id) || readFlowState(this.#values, offset) === 'linger') found.push('lingered')
      else {
        found.push('lingers')
        seen?.add(id)
        if (hasNextHop(this.#values, offset)) this.#keep(index, count++)
        else homeless.push(key)
      }
    }
    const lingering = this.#writeLingering(count)
    if (homeless.length > 0) this.remove(homeless)
    return { found, lingering }
  }

  /** Lets every steered entry with this next hop linger. */
  *lingerAll(nextHop: string): Generator<Lingering> {
    const hop = this.#hop(nextHop).bytes
    const at = flowValueLayout.offsets.next_hop
    for (const chunk of this.#map.chunks()) {
      this.#reserve(chunk.count)
      let count = 0
      for (let index = 0; index < chunk.count; index++) {
        const offset = index * valueBytes
        if (readFlowState(chunk.values, offset) !== 'steer') continue
        if (hop.compare(chunk.values, offset + at, offset + at + 16) !== 0) continue
        chunk.keys.copy(
          this.#keys,
          count * FLOW_KEY_BYTES,
          index * FLOW_KEY_BYTES,
          (index + 1) * FLOW_KEY_BYTES,
        )
        chunk.values.copy(this.#values, count * valueBytes, offset, offset + valueBytes)
        count++
      }
      yield this.#writeLingering(count)
    }
  }

  /** The steered entries without a packet for so long, a chunk at a time. */
  *idle(idleMs: number): Generator<IdleFlow[]> {
    for (const { keys, values, count } of this.#map.chunks()) {
      const found: IdleFlow[] = []
      // The clock of bpf_ktime_get_ns().
      const nowMs = Number(process.hrtime.bigint() / 1_000_000n)
      for (let index = 0; index < count; index++) {
        const offset = index * valueBytes
        if (readFlowState(values, offset) !== 'steer') continue
        const seenMs = readLastSeenMs(values, offset)
        const silentMs = seenMs === 0 ? Number.POSITIVE_INFINITY : nowMs - seenMs
        if (silentMs < idleMs) continue
        const { id, nextHop } = readFlowEntry(values, offset)
        if (nextHop === null) continue
        const key = Buffer.from(keys.subarray(index * FLOW_KEY_BYTES, (index + 1) * FLOW_KEY_BYTES))
        found.push({ key, id, nextHop, idleMs: silentMs })
      }
      yield found
    }
  }

  /** Every entry, as far as it stays while the table is read. */
  *entries(): Generator<[FlowKey, FlowEntry]> {
    for (const { keys, values, count } of this.#map.chunks()) {
      for (let index = 0; index < count; index++) {
        const key = Buffer.from(keys.subarray(index * FLOW_KEY_BYTES, (index + 1) * FLOW_KEY_BYTES))
        yield [key, readFlowEntry(values, index * valueBytes)]
      }
    }
  }

  /** What a previous process left parked, and what it left to end by itself. */
  inventory(): { readonly parked: ParkEntry[]; readonly lingering: Lingering[] } {
    const parked: ParkEntry[] = []
    const lingering: Lingering[] = []
    for (const { keys, values, count } of this.#map.chunks()) {
      this.#reserve(count)
      let kept = 0
      for (let index = 0; index < count; index++) {
        const offset = index * valueBytes
        const state = readFlowState(values, offset)
        const key = keys.subarray(index * FLOW_KEY_BYTES, (index + 1) * FLOW_KEY_BYTES)
        if (state === 'park') {
          const { id, nextHop } = readFlowEntry(values, offset)
          parked.push({ key: Buffer.from(key), id, nextHop })
        } else if (state !== 'steer') {
          key.copy(this.#keys, kept * FLOW_KEY_BYTES)
          values.copy(this.#values, kept * valueBytes, offset, offset + valueBytes)
          kept++
        }
      }
      if (kept > 0) lingering.push(this.#lingering(kept))
    }
    return { parked, lingering }
  }

  #hopOf({ key, nextHop }: ParkEntry): NextHop | undefined {
    if (nextHop === null) return undefined
    const hop = this.#hop(nextHop)
    if (hop.family === 2 && isIpv6Flow(key)) {
      throw new BatonError('BATON_STEERING_NEXT_HOP', { detail: `${nextHop} for an IPv6 flow` })
    }
    return hop
  }

  #hop(address: string): NextHop {
    let hop = this.#hops.get(address)
    if (hop) return hop
    try {
      hop = nextHopBytes(address)
    } catch (cause) {
      throw new BatonError('BATON_STEERING_NEXT_HOP', { detail: address, cause })
    }
    if (this.#hops.size > 10_000) this.#hops.clear()
    this.#hops.set(address, hop)
    return hop
  }

  #reserve(count: number): void {
    if (this.#found.length >= count) return
    this.#keys = Buffer.alloc(count * FLOW_KEY_BYTES)
    this.#values = Buffer.alloc(count * valueBytes)
    this.#found = Buffer.alloc(count)
  }

  #fillPassing(keys: readonly FlowKey[]): void {
    this.#fillKeys(keys)
    for (let index = 0; index < keys.length; index++) {
      writeFlowValue(this.#values, index * valueBytes, 'pass', 0, undefined)
    }
  }

  #fillKeys(keys: readonly FlowKey[]): void {
    this.#reserve(keys.length)
    for (let index = 0; index < keys.length; index++)
      putBytes(this.#keys, index * FLOW_KEY_BYTES, keys[index]!)
  }

  /** Moves entry `from` of the buffers to place `to`, in front of it. */
  #keep(from: number, to: number): void {
    if (from === to) return
    this.#keys.copyWithin(to * FLOW_KEY_BYTES, from * FLOW_KEY_BYTES, (from + 1) * FLOW_KEY_BYTES)
    this.#values.copyWithin(to * valueBytes, from * valueBytes, (from + 1) * valueBytes)
  }

  #writeLingering(count: number): Lingering {
    for (let index = 0; index < count; index++) writeFlowState(this.#values, index * valueBytes, 'linger')
    // The entries are there, so the table cannot be too full for them.
    this.#write(count)
    return this.#lingering(count)
  }

  #lingering(count: number): Lingering {
    const identities = Buffer.allocUnsafe(count * identityBytes)
    for (let index = 0; index < count; index++) {
      putBytes(identities, index * identityBytes, this.#values, index * valueBytes, identityBytes)
    }
    return { keys: copyOf(this.#keys, 0, count * FLOW_KEY_BYTES), identities, count }
  }

  #read(keys: readonly FlowKey[]): number {
    this.#fillKeys(keys)
    return orFail('BATON_STEERING_TABLE', undefined, () =>
      this.#map.getMany(this.#keys, this.#values, this.#found, keys.length),
    )
  }

  #write(count: number): number {
    return orFail('BATON_STEERING_TABLE', undefined, () => this.#map.set(this.#keys, this.#values, count))
  }

  #delete(count: number): void {
    orFail('BATON_STEERING_TABLE', undefined, () => this.#map.delete(this.#keys, count))
  }
}
