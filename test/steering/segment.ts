import { addressBytes } from '../../src/kernel/flow.js'

export const flags = { fin: 0x01, syn: 0x02, rst: 0x04, psh: 0x08, ack: 0x10 } as const

/** One end of a crafted conversation. */
export interface Station {
  readonly mac: Buffer
  readonly address: string
  readonly port: number
}

export interface SegmentFields {
  readonly flags?: number
  readonly seq?: number
  readonly ack?: number
  readonly payload?: Buffer | string
  /** IPv4 options, a multiple of 4 bytes. */
  readonly ipOptions?: Buffer
  /** IPv4 fragment field: flags and offset. */
  readonly fragment?: number
  /** IPv6 extension headers as [type, bytes], outermost first; the bytes' first is overwritten with the next type. */
  readonly extensions?: readonly (readonly [number, Buffer])[]
}

/** The Internet checksum of the parts one after the other (each of even length, but the last). */
function checksum(...parts: readonly Buffer[]): number {
  let sum = 0
  for (const part of parts) {
    for (let index = 0; index < part.length; index += 2) {
      sum += (part.readUInt8(index) << 8) | (index + 1 < part.length ? part.readUInt8(index + 1) : 0)
    }
  }
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16)
  return ~sum & 0xffff
}

const ip = (address: string): Buffer => {
  const bytes = addressBytes(address)
  return address.includes(':') ? bytes : bytes.subarray(12)
}

function pseudoHeader(from: string, to: string, protocol: number, length: number): Buffer {
  return Buffer.concat([ip(from), ip(to), Buffer.from([0, 0, length >> 8, length & 0xff, 0, protocol])])
}

/** An Ethernet header in front of an IP packet. */
export function ethernet(from: Buffer, to: Buffer, packet: Buffer): Buffer {
  const type = packet.readUInt8(0) >> 4 === 4 ? 0x0800 : 0x86dd
  return Buffer.concat([to, from, Buffer.from([type >> 8, type & 0xff]), packet])
}

/** An IPv4 or IPv6 header, by the addresses, in front of a payload. */
export function ipPacket(
  from: string,
  to: string,
  protocol: number,
  payload: Buffer,
  fields: Pick<SegmentFields, 'ipOptions' | 'fragment' | 'extensions'> = {},
): Buffer {
  if (from.includes(':')) {
    const chain = fields.extensions ?? []
    const extensions = chain.map(([, bytes], index) => {
      const copy = Buffer.from(bytes)
      copy[0] = chain[index + 1]?.[0] ?? protocol
      return copy
    })
    const body = Buffer.concat([...extensions, payload])
    const header = Buffer.alloc(8)
    header.writeUInt32BE(0x6000_0000, 0)
    header.writeUInt16BE(body.length, 4)
    header.writeUInt8(chain[0]?.[0] ?? protocol, 6)
    header.writeUInt8(60, 7)
    return Buffer.concat([header, ip(from), ip(to), body])
  }
  const options = fields.ipOptions ?? Buffer.alloc(0)
  const header = Buffer.alloc(20 + options.length)
  header.writeUInt8(0x40 | (header.length / 4), 0)
  header.writeUInt16BE(header.length + payload.length, 2)
  header.writeUInt16BE(fields.fragment ?? 0x4000, 6)
  header.writeUInt8(60, 8)
  header.writeUInt8(protocol, 9)
  ip(from).copy(header, 12)
  ip(to).copy(header, 16)
  options.copy(header, 20)
  header.writeUInt16BE(checksum(header), 10)
  return Buffer.concat([header, payload])
}

/** The IP packet of a TCP segment with right checksums. */
export function tcpPacket(from: Station, to: Station, fields: SegmentFields): Buffer {
  const payload = Buffer.from(fields.payload ?? '')
  const header = Buffer.alloc(20)
  header.writeUInt16BE(from.port, 0)
  header.writeUInt16BE(to.port, 2)
  header.writeUInt32BE(fields.seq ?? 1, 4)
  header.writeUInt32BE(fields.ack ?? 0, 8)
  header.writeUInt8(0x50, 12)
  header.writeUInt8(fields.flags ?? flags.ack, 13)
  header.writeUInt16BE(0xffff, 14)
  const pseudo = pseudoHeader(from.address, to.address, 6, header.length + payload.length)
  header.writeUInt16BE(checksum(pseudo, header, payload), 16)
  return ipPacket(from.address, to.address, 6, Buffer.concat([header, payload]), fields)
}

/** The frame of a TCP segment. */
export function segment(from: Station, to: Station, fields: SegmentFields = {}): Buffer {
  return ethernet(from.mac, to.mac, tcpPacket(from, to, fields))
}

/** An ICMP or ICMPv6 message from `from` to `to`. @param rest bytes 4 … of the message */
export function icmp(from: Station, to: Station, type: number, code: number, rest: Buffer): Buffer {
  const isIpv6 = from.address.includes(':')
  const message = Buffer.concat([Buffer.from([type, code, 0, 0]), rest])
  const sum = isIpv6
    ? checksum(pseudoHeader(from.address, to.address, 58, message.length), message)
    : checksum(message)
  message.writeUInt16BE(sum, 2)
  return ethernet(from.mac, to.mac, ipPacket(from.address, to.address, isIpv6 ? 58 : 1, message))
}

/** What a test wants to know of a TCP frame without options in its IP header; undefined if it is another. */
export interface Parsed {
  readonly to: string
  readonly sourcePort: number
  readonly destinationPort: number
  readonly seq: number
  readonly ack: number
  readonly flags: number
  readonly payload: string
}

export function parseSegment(frame: Buffer): Parsed | undefined {
  const isIpv6 = frame.readUInt16BE(12) === 0x86dd
  if (!isIpv6 && frame.readUInt16BE(12) !== 0x0800) return undefined
  if (frame.readUInt8(isIpv6 ? 20 : 23) !== 6) return undefined
  const at = 14 + (isIpv6 ? 40 : 20)
  const end = isIpv6 ? at + frame.readUInt16BE(18) : 14 + frame.readUInt16BE(16)
  return {
    to: frame.toString('hex', 0, 6),
    sourcePort: frame.readUInt16BE(at),
    destinationPort: frame.readUInt16BE(at + 2),
    seq: frame.readUInt32BE(at + 4),
    ack: frame.readUInt32BE(at + 8),
    flags: frame.readUInt8(at + 13),
    payload: frame.toString('latin1', at + (frame.readUInt8(at + 12) >> 4) * 4, end),
  }
}
