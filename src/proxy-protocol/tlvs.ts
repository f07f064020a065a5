/** `u8 type · u16 length · value`, one after the other; most are skipped. */
const CRC32C = 0x03
const CRC32C_BYTES = 4
const UNIQUE_ID = 0x05
const MAX_UNIQUE_ID_BYTES = 128

export type Tlvs =
  /** Where the value of the checksum stands; null without one. */
  | { readonly kind: 'tlvs'; readonly checksumAt: number | null }
  | { readonly kind: 'bad'; readonly detail: string }

/** Walks the TLVs from `start` to the very end of the block: each must end within it, and nothing may be left. */
export function readTlvs(header: Buffer, start: number): Tlvs {
  let checksumAt: number | null = null
  let at = start
  while (at < header.length) {
    const valueAt = at + 3
    if (valueAt > header.length) return { kind: 'bad', detail: 'A TLV is cut off.' }
    const type = header[at]!
    const length = header.readUInt16BE(at + 1)
    if (valueAt + length > header.length) return { kind: 'bad', detail: `A TLV of type ${type} is cut off.` }
    if (type === CRC32C) {
      if (length !== CRC32C_BYTES) return { kind: 'bad', detail: `Its checksum has ${length} bytes.` }
      if (checksumAt !== null) return { kind: 'bad', detail: 'It has two checksums.' }
      checksumAt = valueAt
    }
    if (type === UNIQUE_ID && length > MAX_UNIQUE_ID_BYTES) {
      return { kind: 'bad', detail: `Its unique id has ${length} bytes.` }
    }
    at = valueAt + length
  }
  return { kind: 'tlvs', checksumAt }
}
