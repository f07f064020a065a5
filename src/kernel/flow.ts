import { isIPv4, isIPv6 } from 'node:net'

/**
 * One TCP connection by its addresses, as the eBPF map keys it: 36 bytes in network order.
 *
 *      0               16              32      34      36
 *      +---------------+---------------+-------+-------+
 *      | client (16)   | VIP (16)      | cport | vport |
 *      +---------------+---------------+-------+-------+
 *
 * An IPv4 address a.b.c.d stands as ::ffff:a.b.c.d.
 */
export type FlowKey = Buffer

export const FLOW_KEY_BYTES = 36

export interface Endpoint {
  /** Textual IPv4 or IPv6 address, without a zone. */
  readonly address: string
  readonly port: number
}

export interface Flow {
  readonly client: Endpoint
  readonly vip: Endpoint
}

/** 16 bytes of an address, IPv4 as ::ffff:a.b.c.d. @throws RangeError when the text is no address */
export function addressBytes(address: string): Buffer {
  const bytes = Buffer.alloc(16)
  if (isIPv4(address)) {
    bytes.writeUInt16BE(0xffff, 10)
    address.split('.').forEach((part, index) => {
      bytes[12 + index] = Number(part)
    })
    return bytes
  }
  if (!isIPv6(address) || address.includes('%')) throw new RangeError(`not an IP address: ${address}`)
  let text = address
  const dotted = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(text)
  if (dotted) {
    const [, head, a, b, c, d] = dotted
    const hex = (high: string | undefined, low: string | undefined) =>
      ((Number(high) << 8) | Number(low)).toString(16)
    text = `${head}${hex(a, b)}:${hex(c, d)}`
  }
  const [left = '', right] = text.split('::')
  const groups = (part: string) =>
    part === '' ? [] : part.split(':').map((group) => Number.parseInt(group, 16))
  const before = groups(left)
  const after = right === undefined ? [] : groups(right)
  before.forEach((group, index) => {
    bytes.writeUInt16BE(group, index * 2)
  })
  after.forEach((group, index) => {
    bytes.writeUInt16BE(group, 16 - (after.length - index) * 2)
  })
  return bytes
}

/** The text of 16 address bytes: dotted for ::ffff:a.b.c.d, else RFC 5952. */
export function addressText(bytes: Uint8Array, offset = 0): string {
  let mapped = bytes[offset + 10] === 0xff && bytes[offset + 11] === 0xff
  for (let index = 0; mapped && index < 10; index++) mapped = bytes[offset + index] === 0
  if (mapped) {
    return `${bytes[offset + 12]}.${bytes[offset + 13]}.${bytes[offset + 14]}.${bytes[offset + 15]}`
  }
  const groups: number[] = []
  for (let index = 0; index < 8; index++) {
    groups.push(((bytes[offset + index * 2] ?? 0) << 8) | (bytes[offset + index * 2 + 1] ?? 0))
  }
  let bestStart = -1
  let bestLength = 1
  for (let start = 0; start < 8; start++) {
    let length = 0
    while (start + length < 8 && groups[start + length] === 0) length++
    if (length > bestLength) {
      bestStart = start
      bestLength = length
    }
  }
  const hex = (part: number[]) => part.map((group) => group.toString(16)).join(':')
  if (bestStart < 0) return hex(groups)
  return `${hex(groups.slice(0, bestStart))}::${hex(groups.slice(bestStart + bestLength))}`
}

export function flowKey(flow: Flow): FlowKey {
  const key = Buffer.alloc(FLOW_KEY_BYTES)
  addressBytes(flow.client.address).copy(key, 0)
  addressBytes(flow.vip.address).copy(key, 16)
  key.writeUInt16BE(flow.client.port, 32)
  key.writeUInt16BE(flow.vip.port, 34)
  return key
}

export function parseFlowKey(key: Buffer, offset = 0): Flow {
  return {
    client: { address: addressText(key, offset), port: key.readUInt16BE(offset + 32) },
    vip: { address: addressText(key, offset + 16), port: key.readUInt16BE(offset + 34) },
  }
}

/** The client's end as {@link endpointText} has it. */
export function clientText(key: FlowKey): string {
  return textOf(key, 0, 32)
}

/** The VIP's end as {@link endpointText} has it. */
export function vipText(key: FlowKey): string {
  return textOf(key, 16, 34)
}

function textOf(key: FlowKey, addressAt: number, portAt: number): string {
  const port = (key[portAt]! << 8) | key[portAt + 1]!
  const address = addressText(key, addressAt)
  return isIpv4Flow(key) ? `${address}:${port}` : `[${address}]:${port}`
}

/** Whether the flow is IPv4 on the wire: its addresses are ::ffff:a.b.c.d. Both are of one family. */
export function isIpv4Flow(key: FlowKey): boolean {
  return key.readUInt32BE(8) === 0xffff && key.readUInt32BE(4) === 0 && key.readUInt32BE(0) === 0
}

/** A string that stands for the flow in a Map: one character a byte. */
export function flowId(key: FlowKey): string {
  return key.toString('latin1')
}

/** `10.0.0.1:80` or `[fd00::1]:80`. */
export function endpointText(endpoint: Endpoint): string {
  return endpoint.address.includes(':')
    ? `[${endpoint.address}]:${endpoint.port}`
    : `${endpoint.address}:${endpoint.port}`
}

/** Parses `10.0.0.1:80` or `[fd00::1]:80`; undefined when it is neither or the port is not 0–65535. */
export function parseEndpoint(text: string): Endpoint | undefined {
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text)
  if (!match) return undefined
  const address = match[1] ?? match[2] ?? ''
  const port = Number(match[3])
  if (port > 65535) return undefined
  if (match[1] !== undefined ? !isIPv6(address) || address.includes('%') : !isIPv4(address)) return undefined
  return { address, port }
}
