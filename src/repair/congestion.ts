import type { RepairDoor } from '../kernel/repair.js'

/** TCP_CA_NAME_MAX of include/net/tcp.h, the closing zero included. */
const NAME_BYTES = 16

let last: { bytes: Buffer; name: string } = { bytes: Buffer.alloc(NAME_BYTES), name: '' }

const field = ({ registers, at }: RepairDoor) =>
  Buffer.from(registers.buffer, registers.byteOffset + at.congestion * 4, NAME_BYTES)

let view: Buffer | undefined

/** Name of the congestion control in the register file. Hosts use one or two, so the last one is remembered. */
export function readCongestion(door: RepairDoor): string {
  view ??= field(door)
  if (!isSame(view, last.bytes)) {
    const end = view.indexOf(0)
    last = { bytes: Buffer.from(view), name: view.toString('latin1', 0, end < 0 ? NAME_BYTES : end) }
  }
  return last.name
}

/** @param name at most 15 bytes; a longer one is cut, and the kernel does not know it then */
export function writeCongestion(door: RepairDoor, name: string): void {
  view ??= field(door)
  if (name !== last.name) {
    const bytes = Buffer.alloc(NAME_BYTES)
    bytes.write(name, 0, NAME_BYTES - 1, 'latin1')
    last = { bytes, name }
  }
  view.set(last.bytes)
}

function isSame(one: Buffer, other: Buffer): boolean {
  for (let at = 0; at < NAME_BYTES; at++) if (one[at] !== other[at]) return false
  return true
}
