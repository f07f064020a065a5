import { isIPv4, isIPv6 } from 'node:net'

/** An IP address, as text without a zone, and a port. The same shape as the kernel door's own. */
export interface Endpoint {
  readonly address: string
  readonly port: number
}

/** True for a textual IPv4 or IPv6 address without a zone. */
export function isAddress(text: string): boolean {
  return isIPv4(text) || (isIPv6(text) && !text.includes('%'))
}

/**
 * Reads `10.0.0.1:80` or `[fd00::1]:80`. Returns a string that says what is wrong where it is neither: names are
 * refused, since Baton looks nothing up while it runs.
 */
export function readEndpoint(text: string): Endpoint | string {
  const bracketed = /^\[([^\]]*)\](?::(\d+))?$/.exec(text)
  const plain = /^([^:[\]]*)(?::(\d+))?$/.exec(text)
  if (bracketed === null && plain === null) {
    if (isIPv6(text)) return 'an IPv6 address stands in brackets before its port'
    return 'is not ADDRESS:PORT'
  }
  const address = bracketed?.[1] ?? plain?.[1] ?? ''
  const digits = bracketed?.[2] ?? plain?.[2]
  if (address.includes('%')) return 'has a zone, which cannot be carried to another host'
  if (bracketed === null ? !isIPv4(address) : !isIPv6(address)) {
    if (address === '') return 'has no address; 0.0.0.0 stands for all'
    return bracketed === null ? `"${address}" is not an IPv4 address` : `"${address}" is not an IPv6 address`
  }
  if (digits === undefined) return 'has no port'
  const port = Number(digits)
  if (port > 65535) return `port ${digits} is above 65535`
  return { address, port }
}

export function isEndpoint(read: Endpoint | string): read is Endpoint {
  return typeof read !== 'string'
}

/** `10.0.0.1:80` or `[fd00::1]:80`. */
export function formatEndpoint(endpoint: Endpoint): string {
  return endpoint.address.includes(':')
    ? `[${endpoint.address}]:${endpoint.port}`
    : `${endpoint.address}:${endpoint.port}`
}

/** The same text for every spelling of an address, so that fd00::1 and fd00:0::1 count as one. */
export function canonicalAddress(address: string): string {
  if (!isIPv6(address)) return address
  return new URL(`http://[${address}]/`).hostname.slice(1, -1)
}

export function canonicalEndpoint(endpoint: Endpoint): string {
  return formatEndpoint({ address: canonicalAddress(endpoint.address), port: endpoint.port })
}
