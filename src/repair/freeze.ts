import { copyOf } from '../kernel/bytes.js'
import { FLOW_KEY_BYTES, type FlowKey } from '../kernel/flow.js'
import { type RepairDoor, repairDoor } from '../kernel/repair.js'
import { readCongestion } from './congestion.js'
import { failure } from './failure.js'
import type { Snapshot } from './snapshot.js'

/** Large enough for nearly every request; what does not fit gets a buffer of its own. */
const SCRATCH_BYTES = 64 * 1024
const scratch = Buffer.allocUnsafeSlow(SCRATCH_BYTES)
const nothing = Buffer.alloc(0)

/**
 * Locks an established connection, puts it into repair mode and dumps it: one native call. From then on its peer's
 * segments are thrown away un-ACKed, so park the flow first where they are to be kept. Ends in thaw() or discard().
 *
 * Not carried: out-of-order data and SACKed ranges (the peer sends them again), ECN, congestion window and RTT.
 * MD5 keys cannot be seen; Baton's listeners never set any.
 *
 * @param fd the descriptor stays the caller's
 * @param flow client → VIP if the caller knows it: saves two system calls. It is kept in the snapshot, not copied.
 * @throws BatonError BATON_FREEZE_*, BATON_REPAIR_PRIVILEGE: the connection is live, with nothing lost
 */
export function freeze(fd: number, flow?: FlowKey): Snapshot {
  const door = repairDoor()
  const key = flow ?? Buffer.alloc(FLOW_KEY_BYTES)
  const known = flow !== undefined
  let bytes: Buffer = scratch
  let needed = door.calls.repairFreeze(fd, door.registers, bytes, key, known, false)
  while (needed > 0) {
    bytes = biggerScratch(door, fd, needed)
    needed = door.calls.repairFreeze(fd, door.registers, bytes, key, known, true)
  }
  if (needed < 0) throw failure(door, 'freeze', needed)
  return snapshotOf(door, key, bytes)
}

/**
 * Makes a frozen connection live again, on the host where it is. A window probe brings its peer's newest ACK and window.
 * SO_REUSEADDR is on afterwards, as on any accepted socket of Node.
 *
 * @param snapshot what freeze() gave or restore() got, if it is at hand: bytes that were never sent leave at once then,
 *   not only with the answer to the probe
 * @throws BatonError BATON_THAW_FAILED
 */
export function thaw(fd: number, snapshot?: Snapshot): void {
  const door = repairDoor()
  const held = snapshot !== undefined && snapshot.send.unsentBytes > 0 ? snapshot.window.sndWnd : 0
  const result = door.calls.repairThaw(fd, door.registers, held)
  if (result < 0) throw failure(door, 'thaw', result)
}

/** Closes a frozen connection without a word to its peer: for one that lives elsewhere, or that is to be forgotten.
 * From then on this host answers the flow's segments with RST. @throws BatonError BATON_DISCARD_FAILED */
export function discard(fd: number): void {
  const door = repairDoor()
  const result = door.calls.repairDiscard(fd, door.registers)
  if (result < 0) throw failure(door, 'discard', result)
}

/** The socket is frozen already while this runs. */
function biggerScratch(door: RepairDoor, fd: number, needed: number): Buffer {
  try {
    return Buffer.allocUnsafeSlow(needed)
  } catch (error) {
    door.calls.repairThaw(fd, door.registers, 0)
    throw error
  }
}

function snapshotOf(door: RepairDoor, flow: FlowKey, bytes: Buffer): Snapshot {
  const { registers, at } = door
  const read = (index: number) => registers[index] ?? 0
  const sndBytes = read(at.sndBytes)
  const end = sndBytes + read(at.rcvBytes)
  const kept = bytes === scratch ? copyOf(bytes, 0, end) : bytes
  const timestamp = read(at.timestamp)
  return {
    flow,
    socketFamily: read(at.family) === 6 ? 6 : 4,
    receive: {
      nextSequence: read(at.rcvNxt),
      queue: sndBytes === 0 && kept.length === end ? kept : kept.subarray(sndBytes, end),
    },
    send: {
      writeSequence: read(at.writeSeq),
      queue: sndBytes === 0 ? nothing : kept.subarray(0, sndBytes),
      unsentBytes: read(at.unsentBytes),
    },
    window: {
      sndWl1: read(at.sndWl1),
      sndWnd: read(at.sndWnd),
      maxWindow: read(at.maxWindow),
      rcvWnd: read(at.rcvWnd),
      rcvWup: read(at.rcvWup),
    },
    mss: read(at.mss),
    options: {
      sack: read(at.sack) === 1,
      windowScale:
        read(at.windowScaling) === 1 ? { send: read(at.sndWscale), receive: read(at.rcvWscale) } : null,
      timestamps:
        read(at.timestamps) === 1
          ? { value: (timestamp & ~1) >>> 0, microseconds: (timestamp & 1) === 1 }
          : null,
    },
    socket: {
      congestion: readCongestion(door),
      noDelay: read(at.noDelay) !== 0,
      keepAlive:
        read(at.keepAlive) === 0
          ? null
          : { idle: read(at.keepIdle), interval: read(at.keepInterval), count: read(at.keepCount) },
      userTimeoutMs: read(at.userTimeoutMs),
      tos: read(at.tos),
      mark: read(at.mark),
    },
  }
}
