import { FLOW_KEY_BYTES, type FlowKey, isIpv4Flow } from '../kernel/flow.js'
import { crc32c } from './crc32c.js'
import { bad, incomplete, type ProxyHeaderResult } from './header.js'
import { readTlvs } from './tlvs.js'

/**
 *      0                       12  13  14      16
 *      +-----------------------+---+---+-------+---------------------+------ … ---+
 *      | signature             |v|c|f|t| length| addresses and ports | TLVs       |
 *      +-----------------------+---+---+-------+---------------------+------ … ---+
 *
 * v: 2. c: 0 LOCAL, 1 PROXY. f: 0 UNSPEC, 1 INET, 2 INET6, 3 UNIX. t: 0 UNSPEC, 1 STREAM, 2 DGRAM. The length is that of
 * everything behind it.
 */
export const version2Signature = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1')

const FIXED_BYTES = 16
const LOCAL = 0x20
const PROXY = 0x21
const TCP_OVER_IPV4 = 0x11
const TCP_OVER_IPV6 = 0x21
/** Of addresses and ports, by family. */
const addressBytesOf = [0, 12, 36, 216] as const
const MAX_TRANSPORT = 2

/** Reads a block that begins with the signature, as far as it is there. */
export function readVersion2(bytes: Buffer, length: number, maxBytes: number): ProxyHeaderResult {
  if (length < 13) return incomplete
  const command = bytes[12]!
  if (command !== LOCAL && command !== PROXY) {
    return bad('BATON_PROXY_V2', `Its version and command are 0x${command.toString(16).padStart(2, '0')}.`)
  }
  if (length < 14) return incomplete
  const kind = bytes[13]!
  const addressBytes = addressBytesOf[kind >> 4]
  if (addressBytes === undefined || (kind & 0xf) > MAX_TRANSPORT) {
    return bad('BATON_PROXY_V2', `Its family and transport are 0x${kind.toString(16).padStart(2, '0')}.`)
  }
  if (length < FIXED_BYTES) return incomplete
  const headerBytes = FIXED_BYTES + bytes.readUInt16BE(14)
  if (headerBytes > maxBytes) {
    return bad('BATON_PROXY_TOO_LARGE', `It has ${headerBytes} bytes, the limit is ${maxBytes}.`)
  }
  if (length < headerBytes) return incomplete
  // The sender speaks for itself, and whatever the block holds is to be thrown away.
  if (command === LOCAL) return { kind: 'header', header: { headerBytes, claimed: null } }
  const tlvsAt = FIXED_BYTES + addressBytes
  if (headerBytes < tlvsAt) return bad('BATON_PROXY_V2', 'Its addresses are cut off.')
  const header = bytes.subarray(0, headerBytes)
  const tlvs = readTlvs(header, tlvsAt)
  if (tlvs.kind === 'bad') return bad('BATON_PROXY_V2', tlvs.detail)
  if (tlvs.checksumAt !== null && !checks(header, tlvs.checksumAt)) return bad('BATON_PROXY_CHECKSUM', '')
  return { kind: 'header', header: { headerBytes, claimed: claimedFlow(header, kind) } }
}

function checks(header: Buffer, checksumAt: number): boolean {
  const zeroed = Buffer.from(header)
  zeroed.writeUInt32BE(0, checksumAt)
  return crc32c(zeroed) === header.readUInt32BE(checksumAt)
}

function claimedFlow(header: Buffer, kind: number): FlowKey | null {
  if (kind === TCP_OVER_IPV6) return Buffer.from(header.subarray(FIXED_BYTES, FIXED_BYTES + FLOW_KEY_BYTES))
  if (kind !== TCP_OVER_IPV4) return null
  const flow = Buffer.alloc(FLOW_KEY_BYTES)
  flow.writeUInt16BE(0xffff, 10)
  flow.writeUInt16BE(0xffff, 26)
  header.copy(flow, 12, 16, 20)
  header.copy(flow, 28, 20, 24)
  header.copy(flow, 32, 24, 28)
  return flow
}

/** Without TLVs. */
export function writeVersion2(flow: FlowKey): Buffer {
  const ipv4 = isIpv4Flow(flow) && isIpv4Flow(flow.subarray(16))
  const addressBytes = addressBytesOf[ipv4 ? 1 : 2]
  const header = Buffer.alloc(FIXED_BYTES + addressBytes)
  version2Signature.copy(header)
  header[12] = PROXY
  header[13] = ipv4 ? TCP_OVER_IPV4 : TCP_OVER_IPV6
  header.writeUInt16BE(addressBytes, 14)
  if (!ipv4) {
    flow.copy(header, FIXED_BYTES, 0, FLOW_KEY_BYTES)
    return header
  }
  flow.copy(header, 16, 12, 16)
  flow.copy(header, 20, 28, 32)
  flow.copy(header, 24, 32, 36)
  return header
}
