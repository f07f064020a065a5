import { type FlowKey, isIpv4Flow } from '../kernel/flow.js'

const ETHERNET_BYTES = 14
const TCP_BYTES = 20
const ACK = 0x10
const PSH = 0x08
const PROTOCOL_TCP = 6

export interface SegmentFields {
  readonly flow: FlowKey
  readonly sequence: number
  readonly acknowledgement: number
  /** As it stands in the header: scaled. */
  readonly window: number
  readonly payload: Buffer
  /** Default: ACK, and PSH with a payload. */
  readonly flags?: number
}

/**
 * The Ethernet frame of a segment from the client to the VIP, without options, its checksums right. The MAC addresses
 * are empty: the program at the device's ingress takes whatever comes.
 */
export function segmentFrame(fields: SegmentFields): Buffer {
  const { flow, sequence, acknowledgement, window, payload } = fields
  const ipv4 = isIpv4Flow(flow)
  const ipBytes = ipv4 ? 20 : 40
  const tcpAt = ETHERNET_BYTES + ipBytes
  const frame = Buffer.alloc(tcpAt + TCP_BYTES + payload.length)
  const tcpLength = TCP_BYTES + payload.length
  frame.writeUInt16BE(ipv4 ? 0x0800 : 0x86dd, 12)
  const ip = ETHERNET_BYTES
  if (ipv4) {
    frame[ip] = 0x45
    frame.writeUInt16BE(ipBytes + tcpLength, ip + 2)
    frame.writeUInt16BE(0x4000, ip + 6) // do not fragment
    frame[ip + 8] = 64
    frame[ip + 9] = PROTOCOL_TCP
    flow.copy(frame, ip + 12, 12, 16)
    flow.copy(frame, ip + 16, 28, 32)
    frame.writeUInt16BE(fold(sum(frame, ip, tcpAt)), ip + 10)
  } else {
    frame[ip] = 0x60
    frame.writeUInt16BE(tcpLength, ip + 4)
    frame[ip + 6] = PROTOCOL_TCP
    frame[ip + 7] = 64
    flow.copy(frame, ip + 8, 0, 32)
  }
  flow.copy(frame, tcpAt, 32, 36)
  frame.writeUInt32BE(sequence >>> 0, tcpAt + 4)
  frame.writeUInt32BE(acknowledgement >>> 0, tcpAt + 8)
  frame[tcpAt + 12] = (TCP_BYTES / 4) << 4
  frame[tcpAt + 13] = fields.flags ?? (payload.length > 0 ? ACK | PSH : ACK)
  frame.writeUInt16BE(window, tcpAt + 14)
  payload.copy(frame, tcpAt + TCP_BYTES)
  // The pseudo header (RFC 9293): both addresses, which stand side by side, the protocol and the length.
  const addresses = sum(frame, ipv4 ? ip + 12 : ip + 8, tcpAt)
  frame.writeUInt16BE(
    fold(addresses + PROTOCOL_TCP + tcpLength + sum(frame, tcpAt, frame.length)),
    tcpAt + 16,
  )
  return frame
}

/** Of big-endian 16-bit words; below 2^53 for any frame. */
function sum(bytes: Buffer, from: number, to: number): number {
  let total = 0
  let index = from
  for (; index + 1 < to; index += 2) total += ((bytes[index] ?? 0) << 8) | (bytes[index + 1] ?? 0)
  if (index < to) total += (bytes[index] ?? 0) << 8
  return total
}

function fold(total: number): number {
  let folded = total
  while (folded > 0xffff) folded = (folded & 0xffff) + Math.floor(folded / 0x10000)
  return ~folded & 0xffff
}
