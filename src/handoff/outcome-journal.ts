import { closeSync, constants, mkdirSync, openSync, readFileSync, readSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'
import { crc32 } from 'node:zlib'
import { BatonError } from '../errors/index.js'
import { mapFile } from '../kernel/host.js'
import { crcOf } from './crc.js'
import {
  emptyHeader,
  epochsOf,
  JOURNAL_HEADER_BYTES,
  noteEpoch,
  ownerOf,
  sameBoot,
  slotsOf,
  withOwner,
} from './journal-header.js'
import type { HandoffId } from './messages.js'
import { markOf } from './process-mark.js'

export interface OutcomeKey {
  readonly peerId: string
  /** 0 stands for any, when asking. */
  readonly giverEpoch: number
  readonly id: HandoffId
}

/** Where a taker notes what it is about to adopt, so that its successor can answer for it after a kill -9. */
export interface OutcomeJournal {
  /** Returns once the note outlives this process. @throws BatonError BATON_JOURNAL */
  record(key: OutcomeKey): void
  /** Takes a note back: the handoff failed after all. @throws BatonError BATON_JOURNAL */
  strike(key: OutcomeKey): void
  /** Whether it was noted, and not struck out. */
  has(key: OutcomeKey): boolean
  /** Whether every note that the taker of this epoch made in the last `ageMs` is still there. */
  covers(takerEpoch: number, ageMs: number): boolean
  close(): void
}

export const RECORD_BYTES = 32
/** Those that a look begins with: what is struck out was mostly noted just now. */
const LAST_SLOTS = 16
const NOTED = 1
const STRUCK = 2

/**
 * A ring of 32-byte records in a plain file that is mapped into memory: a record is one copy of 32 bytes and no system
 * call, and what a kill -9 leaves in the page cache, the next process reads. On a tmpfs it ends with the boot, as the
 * connections do.
 *
 *      0        4        8                16  17            24               32
 *      +--------+--------+----------------+---+-------------+----------------+
 *      | CRC-32 | peer   | giver epoch    | s | handoff id  | time, µs       |
 *      +--------+--------+----------------+---+-------------+----------------+
 *
 * CRC-32 is of bytes 4–31, `peer` the CRC-32 of the giver's id, `s` 1 noted or 2 struck out, the time monotonic and
 * never twice the same. A header of 4 KiB before the ring names the boot and the processes that wrote here.
 * A journal that a live process has open is refused to another: the two would speak for each other's connections.
 */
export class FileJournal implements OutcomeJournal {
  readonly #fd: number
  readonly #slots: number
  readonly #ring: Buffer
  readonly #record = Buffer.alloc(RECORD_BYTES)
  /** Made when something is looked for that is not among the last notes: hardly ever, where notes are made all the time. */
  #slotById: Map<HandoffId, number> | undefined
  readonly #epochs: ReadonlySet<number>
  readonly #header: Buffer
  readonly #startedAt: number
  #next = 0
  #lastTime = 0
  /** Time of the youngest record that was written over, in µs; 0 for none. */
  #overwrittenUpTo = 0
  #torn = 0

  /** @throws BatonError BATON_JOURNAL */
  constructor(options: { readonly path: string; readonly epoch: number; readonly slots?: number }) {
    const { path, epoch } = options
    this.#slots = options.slots ?? 65_536
    this.#startedAt = Number(process.hrtime.bigint() / 1000n) - performance.now() * 1000
    try {
      mkdirSync(dirname(path), { recursive: true })
      this.#fd = openSync(path, constants.O_RDWR | constants.O_CREAT, 0o600)
    } catch (cause) {
      throw failed(path, cause)
    }
    try {
      const bootId = readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim()
      const header = Buffer.alloc(JOURNAL_HEADER_BYTES)
      readSync(this.#fd, header, 0, JOURNAL_HEADER_BYTES, 0)
      const whole = sameBoot(header, bootId)
      const owner = whole ? ownerOf(header) : undefined
      if (owner !== undefined && markOf(owner.pid)?.startedAt === owner.startedAt) {
        throw new RangeError(`process ${owner.pid} has it open`)
      }
      const kept = whole && slotsOf(header) === this.#slots
      const current = kept ? header : emptyHeader(bootId, this.#slots)
      this.#ring = mapFile(this.#fd, JOURNAL_HEADER_BYTES + this.#slots * RECORD_BYTES).subarray(
        JOURNAL_HEADER_BYTES,
      )
      if (!kept) this.#ring.fill(0)
      this.#epochs = epochsOf(current)
      this.#header = withOwner(noteEpoch(current, epoch), markOf(process.pid))
      writeSync(this.#fd, this.#header, 0, JOURNAL_HEADER_BYTES, 0)
      this.#load()
    } catch (cause) {
      closeSync(this.#fd)
      throw failed(path, cause)
    }
  }

  /** Records found damaged when the file was opened. */
  get torn(): number {
    return this.#torn
  }

  record(key: OutcomeKey): void {
    const slot = this.#next
    const at = slot * RECORD_BYTES
    const before = stateAt(this.#ring, at)
    if (before !== 0) {
      this.#overwrittenUpTo = timeAt(this.#ring, at)
      if (this.#slotById !== undefined) {
        const id = idAt(this.#ring, at)
        if (this.#slotById.get(id) === slot) this.#slotById.delete(id)
      }
    }
    const now = Math.floor(this.#startedAt + performance.now() * 1000)
    this.#lastTime = Math.max(now, this.#lastTime + 1)
    const record = this.#record
    putU32(record, 4, peerOf(key.peerId))
    putBig(record, 8, key.giverEpoch)
    putBig(record, 16, key.id)
    record[16] = NOTED
    putBig(record, 24, this.#lastTime)
    this.#seal(at)
    this.#slotById?.set(key.id, slot)
    this.#next = (slot + 1) % this.#slots
  }

  strike(key: OutcomeKey): void {
    const at = this.#find(key)
    if (at === undefined) return
    this.#ring.copy(this.#record, 0, at, at + RECORD_BYTES)
    this.#record[16] = STRUCK
    this.#seal(at)
  }

  has(key: OutcomeKey): boolean {
    const at = this.#find(key)
    return at !== undefined && stateAt(this.#ring, at) === NOTED
  }

  covers(takerEpoch: number, ageMs: number): boolean {
    if (this.#torn > 0 || !this.#epochs.has(takerEpoch)) return false
    return this.#startedAt + (performance.now() - ageMs) * 1000 > this.#overwrittenUpTo
  }

  close(): void {
    writeSync(this.#fd, withOwner(this.#header, undefined), 0, JOURNAL_HEADER_BYTES, 0)
    closeSync(this.#fd)
  }

  #find(key: OutcomeKey): number | undefined {
    for (let back = 1; back <= Math.min(LAST_SLOTS, this.#slots); back++) {
      const at = ((this.#next - back + this.#slots) % this.#slots) * RECORD_BYTES
      if (stateAt(this.#ring, at) !== 0 && idAt(this.#ring, at) === key.id && this.#matches(at, key))
        return at
    }
    this.#slotById ??= this.#index()
    const slot = this.#slotById.get(key.id)
    if (slot === undefined) return undefined
    if (this.#matches(slot * RECORD_BYTES, key)) return slot * RECORD_BYTES
    // Two givers chose one number: rare enough to look at them all.
    for (let at = 0; at < this.#ring.length; at += RECORD_BYTES) {
      if (stateAt(this.#ring, at) !== 0 && idAt(this.#ring, at) === key.id && this.#matches(at, key))
        return at
    }
    return undefined
  }

  /** Where each number was noted last. */
  #index(): Map<HandoffId, number> {
    const slotById = new Map<HandoffId, number>()
    for (let step = 0; step < this.#slots; step++) {
      const slot = (this.#next + step) % this.#slots
      if (stateAt(this.#ring, slot * RECORD_BYTES) !== 0)
        slotById.set(idAt(this.#ring, slot * RECORD_BYTES), slot)
    }
    return slotById
  }

  #matches(at: number, key: OutcomeKey): boolean {
    if (this.#ring.readUInt32BE(at + 4) !== peerOf(key.peerId)) return false
    return key.giverEpoch === 0 || takeBig(this.#ring, at + 8) === key.giverEpoch
  }

  /** The record in hand goes to its place, whole. */
  #seal(at: number): void {
    const record = this.#record
    putU32(record, 0, crcOf(record, 4, RECORD_BYTES))
    this.#ring.set(record, at)
  }

  /** Finds the notes of earlier processes, the damaged ones, and where the ring goes on. */
  #load(): void {
    const ring = this.#ring
    let newest = 0
    let oldest = Number.POSITIVE_INFINITY
    let used = 0
    for (let slot = 0; slot < this.#slots; slot++) {
      const at = slot * RECORD_BYTES
      const record = ring.subarray(at, at + RECORD_BYTES)
      if (crcOf(record, 4, RECORD_BYTES) !== record.readUInt32BE(0) || !isRecord(record)) {
        if (!record.equals(EMPTY)) {
          this.#torn++
          record.fill(0)
        }
        continue
      }
      used++
      const time = timeAt(ring, at)
      oldest = Math.min(oldest, time)
      if (time > newest) {
        newest = time
        this.#next = (slot + 1) % this.#slots
      }
    }
    this.#lastTime = newest
    // A full ring has been round: what stood there before its oldest record is gone.
    if (used === this.#slots) this.#overwrittenUpTo = oldest
  }
}

const EMPTY = Buffer.alloc(RECORD_BYTES)
const isRecord = (record: Buffer) => record[16] === NOTED || record[16] === STRUCK
const stateAt = (ring: Buffer, at: number) => ring[at + 16]!
const timeAt = (ring: Buffer, at: number) => takeBig(ring, at + 24)
const idAt = (ring: Buffer, at: number) =>
  (ring.readUInt32BE(at + 16) & 0xff_ffff) * 0x1_0000_0000 + ring.readUInt32BE(at + 20)

/** A taker has few givers. */
const peers = new Map<string, number>()

function peerOf(id: string): number {
  let peer = peers.get(id)
  if (peer === undefined) {
    peer = crc32(id)
    if (peers.size > 1000) peers.clear()
    peers.set(id, peer)
  }
  return peer
}

function putU32(to: Buffer, at: number, value: number): void {
  to[at] = value >>> 24
  to[at + 1] = value >>> 16
  to[at + 2] = value >>> 8
  to[at + 3] = value
}

function putBig(to: Buffer, at: number, value: number): void {
  putU32(to, at, Math.floor(value / 0x1_0000_0000))
  putU32(to, at + 4, value % 0x1_0000_0000)
}

function takeBig(from: Buffer, at: number): number {
  return from.readUInt32BE(at) * 0x1_0000_0000 + from.readUInt32BE(at + 4)
}

function failed(what: string, cause: unknown): BatonError {
  const detail = `${what}: ${cause instanceof Error ? cause.message : String(cause)}`
  return new BatonError('BATON_JOURNAL', { detail, cause })
}
