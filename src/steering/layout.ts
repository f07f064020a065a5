import { putBytes } from '../kernel/bytes.js'
import type { FlowKey } from '../kernel/flow.js'
import { addressBytes, addressText, FLOW_KEY_BYTES } from '../kernel/flow.js'
import type { FlowEntry, FlowState } from './types.js'

/**
 * The map layouts of src/kernel/bpf/steering.h, host order (little-endian on every machine that this runs on). A test
 * compares them with the compiled object. A change of any of them raises {@link layoutVersion}.
 *
 *     flow value   0      4        8   16             32      34     36      40       48     56          64
 *                  state  ifindex  id  next hop (16)  family  flags  played  packets  bytes  last seen
 */
export const layoutVersion = 4

export const flowKeyLayout = {
  size: FLOW_KEY_BYTES,
  offsets: { client: 0, vip: 16, client_port: 32, vip_port: 34 },
} as const

export const flowValueLayout = {
  size: 64,
  offsets: {
    state: 0,
    ifindex: 4,
    id: 8,
    next_hop: 16,
    next_hop_family: 32,
    flags: 34,
    played: 36,
    packets: 40,
    bytes: 48,
    last_seen_ns: 56,
  },
} as const

export const settingsLayout = {
  size: 24,
  offsets: {
    version: 0,
    tap_ifindex: 4,
    interface_ifindex: 8,
    attach: 12,
    owns_qdisc: 16,
    park_unknown: 20,
  },
} as const

export const totalsLayout = {
  size: 80,
  offsets: {
    steered_packets: 0,
    steered_bytes: 8,
    parked_packets: 16,
    icmp_errors: 24,
    linger_syns: 32,
    unknown_packets: 40,
    unknown_dropped: 48,
    unknown_second: 56,
    unknown_in_second: 64,
    proven_flows: 72,
  },
} as const

export const listenerLayout = { size: 20, offsets: { address: 0, port: 16, reserved: 18 } } as const

/** `play`: parked, and what was parked is on its way; others need not know. */
export type EntryState = FlowState | 'play'

const stateNumbers = { park: 1, steer: 2, linger: 3, pass: 4, play: 5 } as const satisfies Record<
  EntryState,
  number
>
const stateNames: readonly (FlowState | undefined)[] = [undefined, 'park', 'steer', 'linger', 'pass', 'park']
const value = flowValueLayout.offsets
/** FLOW_GATED */
const gated = 2

/**
 * Writes a value with fresh counters. A flow that goes on is gated: frames of it may be parked that are not known yet.
 * @param hop see {@link nextHopBytes}; undefined: none
 */
export function writeFlowValue(
  to: Buffer,
  offset: number,
  state: EntryState,
  id: number,
  hop: NextHop | undefined,
): void {
  for (let byte = offset; byte < offset + flowValueLayout.size; byte++) to[byte] = 0
  to.writeUInt32LE(stateNumbers[state], offset + value.state)
  if (hop) {
    putBytes(to, offset + value.next_hop, hop.bytes)
    to.writeUInt16LE(hop.family, offset + value.next_hop_family)
  }
  if (state === 'steer' || state === 'pass') to.writeUInt16LE(gated, offset + value.flags)
  writeU64(to, id, offset + value.id)
}

/** The same entry, counters and all, in another state. */
export function writeFlowState(to: Buffer, offset: number, state: EntryState): void {
  to.writeUInt32LE(stateNumbers[state], offset + value.state)
}

/**
 * So many frames more of the flow were played: once those were all, it goes on. One that plays becomes `to`. @returns
 * whether the value is another now: one that has no gate goes on already
 */
export function writeFlowPlayed(
  to: Buffer,
  offset: number,
  frames: number,
  state: 'steer' | 'pass',
): boolean {
  const flags = to.readUInt16LE(offset + value.flags)
  const plays = to.readUInt32LE(offset + value.state) === stateNumbers.play
  if (!plays && (flags & gated) === 0) return false
  if (plays) writeFlowState(to, offset, state)
  to.writeUInt16LE(flags | gated, offset + value.flags)
  to.writeUInt32LE((to.readUInt32LE(offset + value.played) + frames) >>> 0, offset + value.played)
  return true
}

/** How many of its parked frames were played, where the flow waits for that to be all; undefined: it goes on. */
export function readFlowGate(from: Buffer, offset: number): number | undefined {
  const isGated = (from.readUInt16LE(offset + value.flags) & gated) !== 0
  return isGated ? from.readUInt32LE(offset + value.played) : undefined
}

/** State, interface and id of a value: what tells one life of an entry from another. */
export const identityBytes = 16

/** Tells `play` as `park`. @throws RangeError for a number that stands for none */
export function readFlowState(from: Buffer, offset: number): FlowState {
  const state = stateNames[from.readUInt32LE(offset + value.state)]
  if (!state) throw new RangeError(`flow state ${from.readUInt32LE(offset + value.state)}`)
  return state
}

export function readFlowId(from: Buffer, offset: number): number {
  return readU64(from, offset + value.id)
}

export function hasNextHop(from: Buffer, offset: number): boolean {
  return from.readUInt16LE(offset + value.next_hop_family) !== 0
}

export function readFlowEntry(from: Buffer, offset: number): FlowEntry {
  return {
    state: readFlowState(from, offset),
    id: readFlowId(from, offset),
    nextHop: hasNextHop(from, offset) ? addressText(from, offset + value.next_hop) : null,
    packets: readU64(from, offset + value.packets),
    bytes: readU64(from, offset + value.bytes),
    lastSeenMs: readLastSeenMs(from, offset),
  }
}

/** CLOCK_MONOTONIC; 0: no packet yet. */
export function readLastSeenMs(from: Buffer, offset: number): number {
  return Math.floor(readU64(from, offset + value.last_seen_ns) / 1e6)
}

export interface NextHop {
  readonly bytes: Buffer
  /** AF_INET 2 or AF_INET6 10. */
  readonly family: number
}

/** @throws RangeError when the text is no address */
export function nextHopBytes(address: string): NextHop {
  const bytes = addressBytes(address)
  return { bytes, family: isMapped(bytes, 0) ? 2 : 10 }
}

/** Whether the flow is IPv6 on the wire. */
export function isIpv6Flow(key: FlowKey): boolean {
  return !isMapped(key, flowKeyLayout.offsets.client)
}

function isMapped(bytes: Buffer, offset: number): boolean {
  return (
    bytes.readUInt32LE(offset) === 0 &&
    bytes.readUInt32LE(offset + 4) === 0 &&
    bytes.readUInt32LE(offset + 8) === 0xffff0000
  )
}

export function readU64(from: Buffer, offset: number): number {
  return from.readUInt32LE(offset) + from.readUInt32LE(offset + 4) * 0x1_0000_0000
}

function writeU64(to: Buffer, number: number, offset: number): void {
  to.writeUInt32LE(number % 0x1_0000_0000, offset)
  to.writeUInt32LE(Math.floor(number / 0x1_0000_0000), offset + 4)
}
