import { addressBytes, type FlowKey, isIpv4Flow } from '../kernel/flow.js'

/** A network, or one address. */
export interface Network {
  readonly address: string
  /** Length of the prefix: 0–32 or 0–128. */
  readonly bits: number
}

interface Prefix {
  readonly ipv4: boolean
  readonly bytes: Buffer
  /** Of the 128, where IPv4 stands as ::ffff:a.b.c.d. */
  readonly bits: number
}

/** Whether the peer of a flow, not who it claims to speak for, is in one of the networks. */
export function peerWithin(networks: readonly Network[]): (flow: FlowKey) => boolean {
  const prefixes = networks.map(({ address, bits }): Prefix => {
    const ipv4 = !address.includes(':')
    return { ipv4, bytes: addressBytes(address), bits: ipv4 ? 96 + bits : bits }
  })
  return (flow) => {
    const ipv4 = isIpv4Flow(flow)
    return prefixes.some((prefix) => prefix.ipv4 === ipv4 && covers(prefix, flow))
  }
}

function covers({ bytes, bits }: Prefix, flow: FlowKey): boolean {
  const whole = bits >> 3
  if (bytes.compare(flow, 0, whole, 0, whole) !== 0) return false
  const rest = bits & 7
  return rest === 0 || (bytes[whole]! ^ flow[whole]!) >> (8 - rest) === 0
}
