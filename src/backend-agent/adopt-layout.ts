import { FLOW_KEY_BYTES } from '../kernel/flow.js'
import type { Snapshot } from '../repair/index.js'
import { putU53 } from './host-order.js'

/**
 * struct adoption of src/kernel/bpf/adopt.h, host order (little-endian on every machine that this runs on), ports in
 * network order. A test compares it with the compiled object.
 */
export const adoptionLayout = {
  size: 704,
  offsets: {
    state: 0,
    seq: 4,
    ack: 8,
    flags: 12,
    attrs: 16,
    listener: 36,
    listener_port: 52,
    failure: 54,
    error: 56,
    reserved: 58,
    cookie: 64,
    born_ns: 72,
    ended_ns: 80,
    bytes_in: 88,
    bytes_out: 96,
    id: 104,
    giver_epoch: 112,
    unread: 120,
    frontend_length: 124,
    reserved2: 125,
    context_length: 126,
    frontend: 128,
    context: 192,
  },
} as const

/** struct bpf_tcp_req_attrs, include/net/tcp.h. */
export const attrsLayout = {
  size: 20,
  offsets: {
    rcv_tsval: 0,
    rcv_tsecr: 4,
    mss: 8,
    rcv_wscale: 10,
    snd_wscale: 11,
    ecn_ok: 12,
    wscale_ok: 13,
    sack_ok: 14,
    tstamp_ok: 15,
    usec_ts_ok: 16,
    reserved: 17,
  },
} as const

/** struct offer: shared memory, what the process has in hand. */
export const offerLayout = {
  size: 744,
  offsets: { adoption: 0, flow: 704, missed: 740 },
} as const

/** struct ending, a record of the ring buffer. */
export const endingLayout = {
  size: 72,
  offsets: { flow: 0, by_client: 36, id: 40, bytes_in: 48, bytes_out: 56, lived_ns: 64 },
} as const

/** No flow has this key: since which epoch processes of this agent have kept these books. */
export const sinceKey = Buffer.alloc(FLOW_KEY_BYTES)

/** Longer notes of a frontend do not outlive the agent's process. */
export const MAX_KEPT_CONTEXT_BYTES = 512

export const states = ['none', 'expected', 'tried', 'born', 'ended', 'through'] as const
export type AdoptionState = (typeof states)[number]

const at = adoptionLayout.offsets
const CLIENT_FIRST = 1

/** Reasons in {@link AdoptionEntry.failure} beside errno values. */
export const failures = {
  none: 0,
  noListener: 1,
  timeWait: 2,
  full: 7,
  noCookies: 95,
  inUse: 98,
  invalid: 22,
} as const

export interface AdoptionEntry {
  readonly state: AdoptionState
  /** Sequence of the first byte that was played. */
  readonly sequence: number
  /** The kernel's reason against it: see {@link failures}, else an errno. */
  readonly failure: number
  /** Bytes that are played in, from `sequence` on. */
  readonly unread: number
  readonly bytesIn: number
  readonly bytesOut: number
  readonly durationMs: number
  readonly cause: 'client' | 'backend'
  readonly notes: Notes
}

/** What CLOSED will say beside the kernel's figures, and to whom; and which process of the giver's it was. */
export interface Notes {
  readonly id: number
  readonly frontendId: string
  readonly giverEpoch: number
  readonly context: Buffer
}

export interface Expected {
  readonly notes: Notes
  readonly snapshot: Snapshot
  /** Of the listener: 16 bytes, and its port. */
  readonly address: Buffer
  readonly port: number
  /** The clock that the connection goes on with, as the client knows it. */
  readonly clock: number
}

/** Writes the entry of a connection that the process serves itself, for the process that comes after it. */
export function writeThrough(to: Buffer, notes: Notes): void {
  to.fill(0)
  to.writeUInt32LE(states.indexOf('through'), at.state)
  writeNotes(to, notes)
}

/** Writes the entry under {@link sinceKey}. */
export function writeSince(to: Buffer, epoch: number): void {
  to.fill(0)
  to.writeBigUInt64LE(BigInt(epoch), at.giver_epoch)
}

/** A frontend's id as the program `claim` takes it. */
export function frontendField(id: string): Buffer {
  const field = Buffer.alloc(1 + 64)
  field[0] = field.write(id, 1, 'latin1')
  return field
}

/** Writes what the next process must know of a connection. */
export function writeNotes(to: Buffer, { id, frontendId, giverEpoch, context }: Notes): void {
  putU53(to, at.id, id)
  putU53(to, at.giver_epoch, giverEpoch)
  const frontend = idBytes(frontendId)
  to[at.frontend_length] = frontend.length
  to.set(frontend, at.frontend)
  const kept = context.length <= MAX_KEPT_CONTEXT_BYTES ? context.length : 0
  to[at.context_length] = kept
  to[at.context_length + 1] = kept >>> 8
  if (kept > 0) to.set(context, at.context)
}

/** An agent has few frontends. */
const idsKnown = new Map<string, Buffer>()

function idBytes(id: string): Buffer {
  let bytes = idsKnown.get(id)
  if (bytes === undefined) {
    bytes = Buffer.from(id, 'latin1').subarray(0, 64)
    if (idsKnown.size > 1000) idsKnown.clear()
    idsKnown.set(id, bytes)
  }
  return bytes
}

export function readAdoption(from: Buffer, offset = 0): AdoptionEntry {
  const u32 = (field: number) => from.readUInt32LE(offset + field)
  const u64 = (field: number) => Number(from.readBigUInt64LE(offset + field))
  const flags = u32(at.flags)
  const bytes = (field: number, length: number) =>
    Buffer.from(from.subarray(offset + field, offset + field + length))
  return {
    state: states[u32(at.state)] ?? 'none',
    sequence: u32(at.seq),
    failure: from.readUInt16LE(offset + at.failure),
    unread: u32(at.unread),
    bytesIn: u64(at.bytes_in),
    bytesOut: u64(at.bytes_out),
    durationMs: Math.round(Math.max(0, u64(at.ended_ns) - u64(at.born_ns)) / 1e6),
    cause: flags & CLIENT_FIRST || from.readUInt16LE(offset + at.error) !== 0 ? 'client' : 'backend',
    notes: {
      id: u64(at.id),
      frontendId: bytes(at.frontend, from.readUInt8(offset + at.frontend_length)).toString('latin1'),
      giverEpoch: u64(at.giver_epoch),
      context: bytes(at.context, from.readUInt16LE(offset + at.context_length)),
    },
  }
}
