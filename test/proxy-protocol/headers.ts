import { crc32c } from '../../src/proxy-protocol/crc32c.js'

export const signature = Buffer.from('0d0a0d0a000d0a515549540a', 'hex')

export function tlv(type: number, value: Buffer | string): Buffer {
  const bytes = Buffer.from(value)
  return Buffer.concat([Buffer.from([type, bytes.length >> 8, bytes.length & 0xff]), bytes])
}

/** A version 2 header of whatever parts; the length is theirs. */
export function block(command: number, kind: number, ...parts: readonly Buffer[]): Buffer {
  const rest = Buffer.concat(parts)
  const fixed = Buffer.from([command, kind, rest.length >> 8, rest.length & 0xff])
  return Buffer.concat([signature, fixed, rest])
}

/** The same with a checksum in a TLV of its own at the end. */
export function checked(command: number, kind: number, ...parts: readonly Buffer[]): Buffer {
  const header = block(command, kind, ...parts, tlv(3, Buffer.alloc(4)))
  header.writeUInt32BE(crc32c(header), header.length - 4)
  return header
}

/** 192.0.2.1:56324 to 10.0.0.100:443. */
export const ipv4Addresses = Buffer.from('c00002010a000064dc0401bb', 'hex')
/** 2001:db8::1 port 56324 to fd00::100 port 443. */
export const ipv6Addresses = Buffer.from(
  '20010db8000000000000000000000001fd000000000000000000000000000100dc0401bb',
  'hex',
)
