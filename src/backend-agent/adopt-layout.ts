import { FLOW_KEY_BYTES } from '../kernel/flow.js'
import type { Snapshot } from '../repair/index.js'

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

/** No flow has this key: since which epoch processes of this agent have kept these books. */
export const sinceKey = Buffer.alloc(FLOW_KEY_BYTES)

/** Longer notes of a frontend do not outlive the agent's process. */
export const MAX_KEPT_CONTEXT_BYTES = 512

const states = ['none', 'expected', 'tried', 'born', 'ended', 'through'] as const
export type AdoptionState = (typeof states)[number]

const at = adoptionLayout.offsets
const attr = attrsLayout.offsets
const CLIENT_FIRST = 1

/** Reasons in {@link AdoptionEntry.failure} beside errno values. */
export const failures = { none: 0, noListener: 1, timeWait: 2, inUse: 98, invalid: 22 } as const

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

/** Writes an entry that waits for its first segment. @param to of the layout's size */
export function writeExpected(to: Buffer, expected: Expected): void {
  const { snapshot } = expected
  const { receive, send, options } = snapshot
  to.fill(0)
  to.writeUInt32LE(states.indexOf('expected'), at.state)
  to.writeUInt32LE((receive.nextSequence - receive.queue.length) >>> 0, at.seq)
  to.writeUInt32LE(receive.queue.length, at.unread)
  to.writeUInt32LE(send.writeSequence, at.ack)
  to.writeUInt32LE(options.timestamps === null ? 0 : expected.clock, at.attrs + attr.rcv_tsecr)
  to.writeUInt16LE(snapshot.mss, at.attrs + attr.mss)
  to[at.attrs + attr.rcv_wscale] = options.windowScale?.receive ?? 0
  to[at.attrs + attr.snd_wscale] = options.windowScale?.send ?? 0
  to[at.attrs + attr.wscale_ok] = Number(options.windowScale !== null)
  to[at.attrs + attr.sack_ok] = Number(options.sack)
  to[at.attrs + attr.tstamp_ok] = Number(options.timestamps !== null)
  to[at.attrs + attr.usec_ts_ok] = Number(options.timestamps?.microseconds ?? false)
  expected.address.copy(to, at.listener)
  to.writeUInt16BE(expected.port, at.listener_port)
  writeNotes(to, expected.notes)
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

function writeNotes(to: Buffer, { id, frontendId, giverEpoch, context }: Notes): void {
  to.writeBigUInt64LE(BigInt(id), at.id)
  to.writeBigUInt64LE(BigInt(giverEpoch), at.giver_epoch)
  to[at.frontend_length] = to.write(frontendId, at.frontend, 64, 'latin1')
  if (context.length > MAX_KEPT_CONTEXT_BYTES) return
  to.writeUInt16LE(context.copy(to, at.context), at.context_length)
}

/** Whether a child was born, or why not. */
export type Birth = Pick<AdoptionEntry, 'state' | 'failure'>

export function readBirth(from: Buffer): Birth {
  return {
    state: states[from.readUInt32LE(at.state)] ?? 'none',
    failure: from.readUInt16LE(at.failure),
  }
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
