import { isIPv4, isIPv6 } from 'node:net'
import { addressText, type FlowKey, flowKey, isIpv4Flow, parseFlowKey } from '../kernel/flow.js'
import { bad, incomplete, type ProxyHeaderResult } from './header.js'

/**
 *     PROXY TCP4 192.0.2.1 10.0.0.100 56324 443\r\n
 *     PROXY TCP6 2001:db8::1 fd00::100 56324 443\r\n
 *     PROXY UNKNOWN …\r\n
 */
export const version1Signature = Buffer.from('PROXY ')

/** With its CRLF. */
const MAX_LINE_BYTES = 107
const CR = 13
const LF = 10

/** Reads a line that begins with the signature, as far as it is there. */
export function readVersion1(bytes: Buffer, length: number): ProxyHeaderResult {
  const end = Math.min(length, MAX_LINE_BYTES)
  let at = 0
  while (at < end && bytes[at]! >= 0x20 && bytes[at]! < 0x7f) at++
  if (at === MAX_LINE_BYTES || (at === MAX_LINE_BYTES - 1 && at < end)) {
    return bad('BATON_PROXY_V1', `It does not end within ${MAX_LINE_BYTES} bytes.`)
  }
  if (at === end) return incomplete
  if (bytes[at] !== CR) return bad('BATON_PROXY_V1', `Byte ${at} is neither visible nor the end of the line.`)
  if (at + 1 === end) return incomplete
  if (bytes[at + 1] !== LF) return bad('BATON_PROXY_V1', 'It does not end in CRLF.')
  return readLine(bytes.toString('latin1', version1Signature.length, at), at + 2)
}

function readLine(line: string, headerBytes: number): ProxyHeaderResult {
  // What follows this word is to be ignored.
  if (line === 'UNKNOWN' || line.startsWith('UNKNOWN ')) {
    return { kind: 'header', header: { headerBytes, claimed: null } }
  }
  const [family, source = '', destination = '', sourcePort = '', destinationPort = '', ...more] =
    line.split(' ')
  if (family !== 'TCP4' && family !== 'TCP6') {
    return bad('BATON_PROXY_V1', 'After PROXY stands neither TCP4 nor TCP6 nor UNKNOWN.')
  }
  const isAddress = family === 'TCP4' ? isIPv4 : isPlainIPv6
  if (!isAddress(source) || !isAddress(destination)) {
    return bad('BATON_PROXY_V1', `One of its addresses is none of ${family}.`)
  }
  if (!isPort(sourcePort) || !isPort(destinationPort) || more.length > 0) {
    return bad('BATON_PROXY_V1', 'It does not end in two ports.')
  }
  const claimed = flowKey({
    client: { address: source, port: Number(sourcePort) },
    vip: { address: destination, port: Number(destinationPort) },
  })
  return { kind: 'header', header: { headerBytes, claimed } }
}

const isPlainIPv6 = (text: string) => isIPv6(text) && !text.includes('%')

const isPort = (text: string) => /^(?:0|[1-9]\d{0,4})$/.test(text) && Number(text) <= 65535

export function writeVersion1(flow: FlowKey): Buffer {
  const { client, vip } = parseFlowKey(flow)
  const ports = `${client.port} ${vip.port}`
  if (isIpv4Flow(flow) && isIpv4Flow(flow.subarray(16))) {
    return Buffer.from(`PROXY TCP4 ${client.address} ${vip.address} ${ports}\r\n`)
  }
  return Buffer.from(`PROXY TCP6 ${sixText(flow, 0)} ${sixText(flow, 16)} ${ports}\r\n`)
}

/** In the notation of IPv6 also where only one of the two is mapped IPv4. */
function sixText(flow: FlowKey, offset: number): string {
  const text = addressText(flow, offset)
  return text.includes(':') ? text : `::ffff:${text}`
}
