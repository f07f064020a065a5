import { crc32 } from 'node:zlib'
import type { ProcessMark } from './process-mark.js'

/**
 * The first 4 KiB of a journal.
 *
 *      0             8                44       48       52       56        64
 *      +-------------+----------------+--------+--------+--------+---------+---- … ----+
 *      | "BATONJ\0\1"| boot id (text) | slots  | count  | CRC-32 | owner   | epochs    |
 *      +-------------+----------------+--------+--------+--------+---------+---- … ----+
 *
 * `epochs` are those of the processes that wrote to the ring, newest first, eight bytes each; CRC-32 is of the whole
 * header with its own bytes 0; `owner` the pid and start time of the process that has it open, 0 for none.
 */
export const JOURNAL_HEADER_BYTES = 4096
const MAGIC = Buffer.from('BATONJ\0\x01', 'latin1')
const BOOT_AT = 8
const BOOT_BYTES = 36
const SLOTS_AT = 44
const COUNT_AT = 48
const CRC_AT = 52
const OWNER_AT = 56
const EPOCHS_AT = 64
const MAX_EPOCHS = (JOURNAL_HEADER_BYTES - EPOCHS_AT) / 8

/** A whole header of this boot: what its ring says can be believed. */
export function sameBoot(header: Buffer, bootId: string): boolean {
  const copy = Buffer.from(header)
  copy.writeUInt32BE(0, CRC_AT)
  return (
    header.subarray(0, MAGIC.length).equals(MAGIC) &&
    crc32(copy) === header.readUInt32BE(CRC_AT) &&
    header.toString('latin1', BOOT_AT, BOOT_AT + BOOT_BYTES) === bootId &&
    header.readUInt32BE(COUNT_AT) <= MAX_EPOCHS
  )
}

/** How many records the ring has. */
export function slotsOf(header: Buffer): number {
  return header.readUInt32BE(SLOTS_AT)
}

export function emptyHeader(bootId: string, slots: number): Buffer {
  const header = Buffer.alloc(JOURNAL_HEADER_BYTES)
  MAGIC.copy(header)
  header.write(bootId, BOOT_AT, BOOT_BYTES, 'latin1')
  header.writeUInt32BE(slots, SLOTS_AT)
  return header
}

/** The epochs of the processes that wrote to this journal. */
export function epochsOf(header: Buffer): Set<number> {
  const epochs = new Set<number>()
  for (let index = 0; index < header.readUInt32BE(COUNT_AT); index++) {
    epochs.add(Number(header.readBigUInt64BE(EPOCHS_AT + index * 8)))
  }
  return epochs
}

/** Who has the journal open, or had when it died. */
export function ownerOf(header: Buffer): ProcessMark | undefined {
  const pid = header.readUInt32BE(OWNER_AT)
  return pid === 0 ? undefined : { pid, startedAt: header.readUInt32BE(OWNER_AT + 4) }
}

/** The header with another owner, sealed. */
export function withOwner(header: Buffer, owner: ProcessMark | undefined): Buffer {
  const owned = Buffer.from(header)
  owned.writeUInt32BE(owner?.pid ?? 0, OWNER_AT)
  owned.writeUInt32BE(owner?.startedAt ?? 0, OWNER_AT + 4)
  owned.writeUInt32BE(0, CRC_AT)
  owned.writeUInt32BE(crc32(owned), CRC_AT)
  return owned
}

/** The header with one more process in it; not sealed yet. */
export function noteEpoch(header: Buffer, epoch: number): Buffer {
  const noted = Buffer.from(header)
  const count = Math.min(header.readUInt32BE(COUNT_AT) + 1, MAX_EPOCHS)
  header.copy(noted, EPOCHS_AT + 8, EPOCHS_AT, EPOCHS_AT + (count - 1) * 8)
  noted.writeBigUInt64BE(BigInt(epoch), EPOCHS_AT)
  noted.writeUInt32BE(count, COUNT_AT)
  return noted
}
