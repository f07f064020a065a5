import { FLOW_KEY_BYTES, type FlowKey } from '../kernel/flow.js'

const ethernetBytes = 14
const maxExtensionHeaders = 6
const tcp = 6
const icmp = 1
const icmpv6 = 58

/**
 * The flow of an Ethernet frame that the program parked: a TCP segment's, or that of the segment which an ICMP error
 * quotes (its source is the VIP). Reads what src/kernel/bpf/steering.bpf.c reads. Undefined for anything else.
 */
export function frameFlow(frame: Buffer): FlowKey | undefined {
  if (frame.length < ethernetBytes) return undefined
  const key = Buffer.alloc(FLOW_KEY_BYTES)
  const etherType = frame.readUInt16BE(12)
  const read = etherType === 0x0800 ? readIpv4 : etherType === 0x86dd ? readIpv6 : undefined
  const outer = read?.(frame, ethernetBytes, key, false)
  if (!read || !outer) return undefined
  if (outer.protocol === tcp) return readPorts(frame, outer.end, key, false)
  if (outer.protocol !== (read === readIpv4 ? icmp : icmpv6)) return undefined
  if (!isError(outer.protocol, frame[outer.end])) return undefined
  const quoted = read(frame, outer.end + 8, key, true)
  if (quoted?.protocol !== tcp) return undefined
  return readPorts(frame, quoted.end, key, true)
}

/** Whether the frame is a TCP segment that begins a connection: SYN without ACK. */
export function frameIsSyn(frame: Buffer): boolean {
  if (frame.length < ethernetBytes) return false
  const etherType = frame.readUInt16BE(12)
  const read = etherType === 0x0800 ? readIpv4 : etherType === 0x86dd ? readIpv6 : undefined
  const outer = read?.(frame, ethernetBytes, Buffer.alloc(FLOW_KEY_BYTES), false)
  if (outer?.protocol !== tcp || frame.length < outer.end + 14) return false
  return (frame.readUInt8(outer.end + 13) & 0x12) === 0x02
}

interface Header {
  readonly protocol: number
  /** Where the next header begins. */
  readonly end: number
}

function isError(protocol: number, type: number | undefined): boolean {
  if (type === undefined) return false
  if (protocol === icmp) return type === 3 || type === 11 || type === 12
  return type >= 1 && type <= 4
}

function readIpv4(frame: Buffer, at: number, key: Buffer, quoted: boolean): Header | undefined {
  if (frame.length < at + 20) return undefined
  const first = frame.readUInt8(at)
  const headerBytes = (first & 0x0f) * 4
  if (first >> 4 !== 4 || headerBytes < 20) return undefined
  if (frame.readUInt16BE(at + 6) & 0x1fff) return undefined
  copyMapped(frame, at + 12, key, quoted ? 16 : 0)
  copyMapped(frame, at + 16, key, quoted ? 0 : 16)
  return { protocol: frame.readUInt8(at + 9), end: at + headerBytes }
}

function copyMapped(frame: Buffer, from: number, key: Buffer, to: number): void {
  key.fill(0, to, to + 10)
  key.writeUInt16BE(0xffff, to + 10)
  frame.copy(key, to + 12, from, from + 4)
}

function readIpv6(frame: Buffer, at: number, key: Buffer, quoted: boolean): Header | undefined {
  if (frame.length < at + 40 || frame.readUInt8(at) >> 4 !== 6) return undefined
  frame.copy(key, quoted ? 16 : 0, at + 8, at + 24)
  frame.copy(key, quoted ? 0 : 16, at + 24, at + 40)
  let protocol = frame.readUInt8(at + 6)
  let end = at + 40
  for (let count = 0; count < maxExtensionHeaders; count++) {
    const isFragment = protocol === 44
    if (!isFragment && protocol !== 0 && protocol !== 43 && protocol !== 60) return { protocol, end }
    if (frame.length < end + 4) return undefined
    if (isFragment && frame.readUInt16BE(end + 2) & 0xfff8) return undefined
    protocol = frame.readUInt8(end)
    end += isFragment ? 8 : (frame.readUInt8(end + 1) + 1) * 8
  }
  return undefined
}

function readPorts(frame: Buffer, at: number, key: Buffer, quoted: boolean): FlowKey | undefined {
  if (frame.length < at + (quoted ? 4 : 14)) return undefined
  frame.copy(key, quoted ? 34 : 32, at, at + 2)
  frame.copy(key, quoted ? 32 : 34, at + 2, at + 4)
  return key
}
