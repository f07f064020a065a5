/*
 * Numbers as this machine has them: little-endian on every one that this runs on. Byte by byte, since these stores are on
 * the way of every handoff, and are inlined where the methods of Buffer are calls.
 */

export function putU32(to: Buffer, offset: number, value: number): void {
  to[offset] = value
  to[offset + 1] = value >>> 8
  to[offset + 2] = value >>> 16
  to[offset + 3] = value >>> 24
}

export function putU53(to: Buffer, offset: number, value: number): void {
  putU32(to, offset, value % 0x1_0000_0000)
  putU32(to, offset + 4, Math.floor(value / 0x1_0000_0000))
}

export function takeU32(from: Buffer, offset: number): number {
  return from[offset]! + (from[offset + 1]! << 8) + (from[offset + 2]! << 16) + from[offset + 3]! * 0x100_0000
}

export function takeU64(from: Buffer, offset: number): number {
  return takeU32(from, offset) + takeU32(from, offset + 4) * 0x1_0000_0000
}
