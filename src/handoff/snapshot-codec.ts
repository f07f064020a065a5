import { BatonError } from '../errors/index.js'
import { copyOf } from '../kernel/bytes.js'
import { FLOW_KEY_BYTES } from '../kernel/flow.js'
import type { Snapshot } from '../repair/index.js'
import { KnownText } from './known-text.js'
import { MAX_QUEUE_BYTES } from './limits.js'
import { flowKind, putBytes, putFlow, putU8, putU16, putU32 } from './put.js'
import { malformed, type Take } from './take.js'

/*
 * Layout: docs/wire-format.md, "Snapshot". The queues come last, so that a reader copies flow and queues in one piece.
 */

export const SNAPSHOT_VERSION = 1
/** Everything before the queues. */
export const SNAPSHOT_FIXED_BYTES = 116
const CONGESTION_AT = 64
const CONGESTION_BYTES = 16
const FLOW_AT = 80

const SACK = 1
const WINDOW_SCALE = 2
const TIMESTAMPS = 4
const MICROSECONDS = 8
const NO_DELAY = 16
const KEEP_ALIVE = 32
const ALL_FLAGS = 63

const MAX_SHIFT = 14
/** net/ipv4/tcp.c: MAX_TCP_KEEPIDLE, MAX_TCP_KEEPINTVL, MAX_TCP_KEEPCNT. */
const MAX_KEEP_SECONDS = 32767
const MAX_KEEP_COUNT = 127
const MAX_INT = 0x7fff_ffff

const congestionPattern = /^[a-z0-9_-]{0,15}$/i

const nothing = Buffer.alloc(0)
const knownCongestion = new KnownText()
let goodCongestion = ''

export function snapshotBytes(snapshot: Snapshot): number {
  return SNAPSHOT_FIXED_BYTES + snapshot.receive.queue.length + snapshot.send.queue.length
}

function range(value: number, min: number, max: number, field: string): number {
  if (!Number.isInteger(value) || value < min || value > max) {
    throw new BatonError('BATON_FRAME_VALUE', {
      detail: `${field} is ${value}, not ${min}–${max}`,
      step: field,
    })
  }
  return value
}

/** Writes {@link snapshotBytes} bytes at `at`; returns the offset after them. @throws BatonError BATON_FRAME_VALUE */
export function putSnapshot(to: Buffer, at: number, snapshot: Snapshot): number {
  const { receive, send, window, options, socket } = snapshot
  const { windowScale, timestamps } = options
  const { keepAlive } = socket
  const flags =
    (options.sack ? SACK : 0) |
    (windowScale ? WINDOW_SCALE : 0) |
    (timestamps ? TIMESTAMPS : 0) |
    (timestamps?.microseconds ? MICROSECONDS : 0) |
    (socket.noDelay ? NO_DELAY : 0) |
    (keepAlive ? KEEP_ALIVE : 0)
  let scale = 0
  if (windowScale) {
    range(windowScale.send, 0, MAX_SHIFT, 'windowScale.send')
    range(windowScale.receive, 0, MAX_SHIFT, 'windowScale.receive')
    scale = (windowScale.send << 4) | windowScale.receive
  }
  range(send.unsentBytes, 0, send.queue.length, 'unsentBytes')
  let next = putU8(to, at, SNAPSHOT_VERSION, 'version')
  next = putU8(to, next, snapshot.socketFamily, 'socketFamily')
  next = putU8(to, next, flags, 'flags')
  next = putU8(to, next, scale, 'windowScale')
  next = putU16(to, next, range(snapshot.mss, 1, 0xffff, 'mss'), 'mss')
  next = putU8(to, next, socket.tos, 'tos')
  next = putU8(
    to,
    next,
    keepAlive ? range(keepAlive.count, 1, MAX_KEEP_COUNT, 'keepAlive.count') : 0,
    'keepAlive.count',
  )
  next = putU32(to, next, receive.nextSequence, 'nextSequence')
  next = putU32(to, next, send.writeSequence, 'writeSequence')
  next = putU32(to, next, send.unsentBytes, 'unsentBytes')
  next = putU32(to, next, receive.queue.length, 'receive.queue.length')
  next = putU32(to, next, send.queue.length, 'send.queue.length')
  next = putU32(to, next, window.sndWl1, 'sndWl1')
  next = putU32(to, next, window.sndWnd, 'sndWnd')
  next = putU32(to, next, window.maxWindow, 'maxWindow')
  next = putU32(to, next, window.rcvWnd, 'rcvWnd')
  next = putU32(to, next, window.rcvWup, 'rcvWup')
  next = putU32(to, next, timestamps?.value ?? 0, 'timestamps.value')
  next = putU16(
    to,
    next,
    keepAlive ? range(keepAlive.idle, 1, MAX_KEEP_SECONDS, 'keepAlive.idle') : 0,
    'keepAlive.idle',
  )
  next = putU16(
    to,
    next,
    keepAlive ? range(keepAlive.interval, 1, MAX_KEEP_SECONDS, 'keepAlive.interval') : 0,
    'keepAlive.interval',
  )
  next = putU32(to, next, range(socket.userTimeoutMs, 0, MAX_INT, 'userTimeoutMs'), 'userTimeoutMs')
  next = putU32(to, next, socket.mark, 'mark')
  next = putCongestion(to, next, socket.congestion)
  next = putFlow(to, next, snapshot.flow, snapshot.socketFamily)
  next = putBytes(to, next, receive.queue, MAX_QUEUE_BYTES, 'receive.queue')
  return putBytes(to, next, send.queue, MAX_QUEUE_BYTES, 'send.queue')
}

function putCongestion(to: Buffer, at: number, name: string): number {
  // Hosts use one or two: no pattern for the one that was good before.
  if (name !== goodCongestion) {
    if (!congestionPattern.test(name)) {
      throw new BatonError('BATON_FRAME_VALUE', { detail: `congestion is ${name}`, step: 'congestion' })
    }
    goodCongestion = name
  }
  for (let index = 0; index < CONGESTION_BYTES; index++) {
    to[at + index] = index < name.length ? name.charCodeAt(index) : 0
  }
  return at + CONGESTION_BYTES
}

/** What {@link takeSnapshot} leaves to its caller: the copy of everything from the flow to the end of the frame. */
export interface TakenSnapshot {
  readonly snapshot: Snapshot
  /** What followed the queues, out of the same copy. */
  readonly rest: Buffer
}

/**
 * Reads a snapshot and everything after it in the frame. One copy takes flow, queues and rest out of the chunk.
 * @throws BatonError BATON_FRAME_MALFORMED
 */
export function takeSnapshot(take: Take): TakenSnapshot {
  const { bytes } = take
  const base = take.skip(SNAPSHOT_FIXED_BYTES)
  const flags = bytes[base + 2]!
  const scale = bytes[base + 3]!
  const mss = bytes.readUInt16BE(base + 4)
  const receiveBytes = bytes.readUInt32BE(base + 20)
  const sendBytes = bytes.readUInt32BE(base + 24)
  const unsentBytes = bytes.readUInt32BE(base + 16)
  const timestamp = bytes.readUInt32BE(base + 48)
  const userTimeoutMs = bytes.readUInt32BE(base + 56)
  const family = bytes[base + 1]!

  if (bytes[base] !== SNAPSHOT_VERSION) malformed(`Snapshots of version ${bytes[base]} are not known here.`)
  const kind = flowKind(bytes, base + FLOW_AT)
  if (kind === undefined) malformed('No socket can have this flow.')
  if ((family !== 4 && family !== 6) || (family === 4 && kind !== 'mapped'))
    malformed(`No socket of family ${family} has this flow.`)
  if (flags > ALL_FLAGS || (flags & (TIMESTAMPS | MICROSECONDS)) === MICROSECONDS)
    malformed('Unknown or contradicting flags.')
  if (flags & WINDOW_SCALE ? scale >> 4 > MAX_SHIFT || (scale & 15) > MAX_SHIFT : scale !== 0) {
    malformed('A window scale over 14, or one that was not negotiated.')
  }
  if (!(flags & TIMESTAMPS) && timestamp !== 0) malformed('A timestamp that was not negotiated.')
  if (mss === 0) malformed('An MSS of 0.')
  if (receiveBytes > MAX_QUEUE_BYTES || sendBytes > MAX_QUEUE_BYTES) malformed('A queue over its cap.')
  if (unsentBytes > sendBytes) malformed('More unsent bytes than the send queue holds.')
  if (userTimeoutMs > MAX_INT) malformed('A user timeout of 2^31 ms or more.')

  const keepAlive = takeKeepAlive(bytes, base, (flags & KEEP_ALIVE) !== 0)
  const congestion = takeCongestion(bytes, base + CONGESTION_AT)
  const start = base + FLOW_AT
  if (receiveBytes + sendBytes > take.left) malformed('The frame ends within a queue.')
  const owned = copyOf(bytes, start, take.end - start)
  take.skip(take.left)
  const sendAt = FLOW_KEY_BYTES + receiveBytes
  const snapshot: Snapshot = {
    flow: owned.subarray(0, FLOW_KEY_BYTES),
    socketFamily: family,
    receive: { nextSequence: bytes.readUInt32BE(base + 8), queue: owned.subarray(FLOW_KEY_BYTES, sendAt) },
    send: {
      writeSequence: bytes.readUInt32BE(base + 12),
      queue: sendBytes === 0 ? nothing : owned.subarray(sendAt, sendAt + sendBytes),
      unsentBytes,
    },
    window: {
      sndWl1: bytes.readUInt32BE(base + 28),
      sndWnd: bytes.readUInt32BE(base + 32),
      maxWindow: bytes.readUInt32BE(base + 36),
      rcvWnd: bytes.readUInt32BE(base + 40),
      rcvWup: bytes.readUInt32BE(base + 44),
    },
    mss,
    options: {
      sack: (flags & SACK) !== 0,
      windowScale: flags & WINDOW_SCALE ? { send: scale >> 4, receive: scale & 15 } : null,
      timestamps:
        flags & TIMESTAMPS ? { value: timestamp, microseconds: (flags & MICROSECONDS) !== 0 } : null,
    },
    socket: {
      congestion,
      noDelay: (flags & NO_DELAY) !== 0,
      keepAlive,
      userTimeoutMs,
      tos: bytes[base + 6]!,
      mark: bytes.readUInt32BE(base + 60),
    },
  }
  return { snapshot, rest: owned.subarray(sendAt + sendBytes) }
}

function takeKeepAlive(bytes: Buffer, base: number, on: boolean): Snapshot['socket']['keepAlive'] {
  const count = bytes[base + 7]!
  const idle = bytes.readUInt16BE(base + 52)
  const interval = bytes.readUInt16BE(base + 54)
  if (!on) {
    if ((count | idle | interval) !== 0) malformed('Keepalive values while keepalive is off.')
    return null
  }
  if (count === 0 || count > MAX_KEEP_COUNT) malformed(`A keepalive count of ${count}.`)
  if (idle === 0 || idle > MAX_KEEP_SECONDS || interval === 0 || interval > MAX_KEEP_SECONDS) {
    malformed('A keepalive time outside 1–32767 s.')
  }
  return { idle, interval, count }
}

function takeCongestion(bytes: Buffer, at: number): string {
  let length = 0
  while (length < CONGESTION_BYTES && bytes[at + length] !== 0) length++
  for (let index = at + length; index < at + CONGESTION_BYTES; index++) {
    if (bytes[index] !== 0) malformed('Bytes after the end of the congestion control’s name.')
  }
  const last = knownCongestion.match(bytes, at, length)
  if (last !== undefined) return last
  const name = bytes.toString('latin1', at, at + length)
  if (!congestionPattern.test(name)) malformed('No congestion control has this name.')
  return knownCongestion.keep(name)
}
