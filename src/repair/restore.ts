import { BatonError } from '../errors/index.js'
import { isIpv4Flow } from '../kernel/flow.js'
import { type RepairDoor, repairDoor } from '../kernel/repair.js'
import { writeCongestion } from './congestion.js'
import { failure } from './failure.js'
import type { Snapshot } from './snapshot.js'

/**
 * The clock of a restored connection is set ahead of the giver's by this much: the frozen socket may still send a
 * delayed ACK with a later timestamp than the snapshot's, and older ones would then be dropped by PAWS (RFC 7323).
 */
const TIMESTAMP_LEAD_MS = 10
const MAX_BUFFER_BYTES = 0x3fff_ffff
/** By so much a kernel itself promises more than its buffer holds (rounding of the window), and takes it all the same. */
const WINDOW_SLACK_BYTES = 4096

export interface RestoreOptions {
  /**
   * `live` (default): the connection goes on here, from inside the call.
   * `frozen`: it stays in repair mode behind the lock, as after freeze(); thaw() makes it live, discard() forgets it.
   */
  readonly finish?: 'live' | 'frozen'
  /**
   * Who has the snapshot's unread bytes afterwards: `kernel` (default), in the receive queue, or `caller`, who gives them
   * to the application as if they had been read; see {@link mayLeaveUnread}.
   */
  readonly unread?: 'kernel' | 'caller'
}

/** What one read(2) of Node's would bring. */
const MAX_LEFT_BYTES = 64 * 1024
const NOTHING = Buffer.alloc(0)

/**
 * Whether unread bytes may go past the kernel's queue: fewer system calls and no turn of the event loop until they are
 * read. Reading them from the queue could send a window update, and nothing else would; but only if the window doubled
 * by it (net/ipv4/tcp.c: tcp_cleanup_rbuf). So not where they are more than the window that is open beside them.
 */
export function mayLeaveUnread(snapshot: Snapshot): boolean {
  const { length } = snapshot.receive.queue
  return length <= MAX_LEFT_BYTES && length <= openWindowBytes(snapshot)
}

/**
 * Makes the connection of a snapshot anew, on this host and in this thread's network namespace: one native call.
 * The socket is non-blocking, close-on-exec, has SO_REUSEADDR, and keeps autotuning its buffers.
 *
 * A window probe is sent only where it is of use: something was sent that is not ACKed, or the peer's window is too
 * small for a segment. A microsecond clock needs Linux ≥ 6.7 here as there.
 *
 * @returns the descriptor, the caller's to close
 * @throws BatonError BATON_RESTORE_*, BATON_REPAIR_PRIVILEGE: nothing was sent, and no socket is left
 */
export function restore(snapshot: Snapshot, options: RestoreOptions = {}): number {
  const door = repairDoor()
  const { receive, send, socketFamily, flow } = snapshot
  if (send.unsentBytes > send.queue.length || (socketFamily === 4 && !isIpv4Flow(flow))) {
    throw new BatonError('BATON_RESTORE_SNAPSHOT')
  }
  fillRegisters(door, snapshot)
  const live = wantsProbe(snapshot) ? door.finish.probe : door.finish.quiet
  door.registers[door.at.finish] = options.finish === 'frozen' ? door.finish.frozen : live
  const unread = options.unread === 'caller' ? NOTHING : receive.queue
  const result = door.calls.repairRestore(door.registers, flow, unread, send.queue)
  if (result < 0) throw failure(door, 'restore', result)
  return result
}

function wantsProbe({ send, window, mss }: Snapshot): boolean {
  return send.queue.length > 0 || window.sndWnd < mss
}

/** Bytes that the peer may still send: they must find room, for an advertised window is never taken back. */
function openWindowBytes({ receive, window }: Snapshot): number {
  return Math.max(0, (window.rcvWup + window.rcvWnd - receive.nextSequence) | 0)
}

function fillRegisters(door: RepairDoor, snapshot: Snapshot): void {
  const { registers, at } = door
  const { receive, send, window, options, socket } = snapshot
  registers[at.family] = snapshot.socketFamily
  registers[at.rcvNxt] = receive.nextSequence
  registers[at.writeSeq] = send.writeSequence
  registers[at.unsentBytes] = send.unsentBytes
  registers[at.sndWl1] = window.sndWl1
  registers[at.sndWnd] = window.sndWnd
  registers[at.maxWindow] = window.maxWindow
  registers[at.rcvWnd] = window.rcvWnd
  registers[at.rcvWup] = window.rcvWup
  registers[at.mss] = snapshot.mss
  registers[at.sack] = options.sack ? 1 : 0
  registers[at.windowScaling] = options.windowScale === null ? 0 : 1
  registers[at.sndWscale] = options.windowScale?.send ?? 0
  registers[at.rcvWscale] = options.windowScale?.receive ?? 0
  registers[at.timestamps] = options.timestamps === null ? 0 : 1
  registers[at.timestamp] = clock(options.timestamps)
  registers[at.noDelay] = socket.noDelay ? 1 : 0
  registers[at.keepAlive] = socket.keepAlive === null ? 0 : 1
  registers[at.keepIdle] = socket.keepAlive?.idle ?? 0
  registers[at.keepInterval] = socket.keepAlive?.interval ?? 0
  registers[at.keepCount] = socket.keepAlive?.count ?? 0
  registers[at.userTimeoutMs] = socket.userTimeoutMs
  registers[at.tos] = socket.tos
  registers[at.mark] = socket.mark
  writeCongestion(door, socket.congestion)
  // The kernel counts about as much again for its own structures: half of a buffer is window (tcp_adv_win_scale).
  const receiveBytes = Math.max(0, receive.queue.length + openWindowBytes(snapshot) - WINDOW_SLACK_BYTES)
  registers[at.receiveBuffer] = Math.min(2 * receiveBytes, MAX_BUFFER_BYTES)
  registers[at.sendBuffer] = Math.min(2 * send.queue.length, MAX_BUFFER_BYTES)
}

function clock(timestamps: Snapshot['options']['timestamps']): number {
  if (timestamps === null) return 0
  const lead = TIMESTAMP_LEAD_MS * (timestamps.microseconds ? 1000 : 1)
  return ((timestamps.value + lead) & ~1) | (timestamps.microseconds ? 1 : 0)
}
