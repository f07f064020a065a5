import { putBytes } from '../kernel/bytes.js'
import { type FlowKey, isIpv4Flow } from '../kernel/flow.js'

const IP_AT = 14
const TCP_BYTES = 20
const ACK = 0x10
const PSH = 0x08
const PROTOCOL_TCP = 6
/** Of the headers of a segment, at most: Ethernet, IPv6, TCP. */
export const HEADER_BYTES = 14 + 40 + TCP_BYTES

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

/** {@link segmentFrame} in a buffer of its own. */
export function segmentFrame(fields: SegmentFields): Buffer {
  const frame = Buffer.alloc(HEADER_BYTES + fields.payload.length)
  return frame.subarray(0, writeSegment(frame, fields))
}

/**
 * Writes the Ethernet frame of a segment from the client to the VIP, without options, its checksums right. The MAC
 * addresses are empty: the program at the device's ingress takes whatever comes.
 * @param frame with {@link HEADER_BYTES} of room beside the payload; it may have held another segment
 * @returns its length
 */
export function writeSegment(frame: Buffer, fields: SegmentFields): number {
  const { flow, sequence, acknowledgement, window, payload } = fields
  const ipv4 = isIpv4Flow(flow)
  const tcpAt = IP_AT + (ipv4 ? 20 : 40)
  const tcpLength = TCP_BYTES + payload.length
  const end = tcpAt + tcpLength
  frame.fill(0, 0, tcpAt + TCP_BYTES)
  put16(frame, 12, ipv4 ? 0x0800 : 0x86dd)
  if (ipv4) {
    frame[IP_AT] = 0x45
    put16(frame, IP_AT + 2, end - IP_AT)
    put16(frame, IP_AT + 6, 0x4000) // do not fragment
    frame[IP_AT + 8] = 64
    frame[IP_AT + 9] = PROTOCOL_TCP
    putBytes(frame, IP_AT + 12, flow, 12, 4)
    putBytes(frame, IP_AT + 16, flow, 28, 4)
    put16(frame, IP_AT + 10, fold(sum(frame, IP_AT, tcpAt)))
  } else {
    frame[IP_AT] = 0x60
    put16(frame, IP_AT + 4, tcpLength)
    frame[IP_AT + 6] = PROTOCOL_TCP
    frame[IP_AT + 7] = 64
    putBytes(frame, IP_AT + 8, flow, 0, 32)
  }
  putBytes(frame, tcpAt, flow, 32, 4)
  put16(frame, tcpAt + 4, sequence >>> 16)
  put16(frame, tcpAt + 6, sequence)
  put16(frame, tcpAt + 8, acknowledgement >>> 16)
  put16(frame, tcpAt + 10, acknowledgement)
  frame[tcpAt + 12] = (TCP_BYTES / 4) << 4
  frame[tcpAt + 13] = fields.flags ?? (payload.length > 0 ? ACK | PSH : ACK)
  put16(frame, tcpAt + 14, window)
  frame.set(payload, tcpAt + TCP_BYTES)
  // The pseudo header (RFC 9293): both addresses, which stand side by side, the protocol and the length.
  const addresses = sum(frame, ipv4 ? IP_AT + 12 : IP_AT + 8, tcpAt)
  put16(frame, tcpAt + 16, fold(addresses + PROTOCOL_TCP + tcpLength + sum(frame, tcpAt, end)))
  return end
}

function put16(to: Buffer, at: number, value: number): void {
  to[at] = value >>> 8
  to[at + 1] = value
}

/** Of big-endian 16-bit words; below 2^53 for any frame. */
function sum(bytes: Buffer, from: number, to: number): number {
  let total = 0
  let index = from
  for (; index + 1 < to; index += 2) total += (bytes[index]! << 8) | bytes[index + 1]!
  if (index < to) total += bytes[index]! << 8
  return total
}

function fold(total: number): number {
  let folded = total
  while (folded > 0xffff) folded = (folded & 0xffff) + Math.floor(folded / 0x10000)
  return ~folded & 0xffff
}
