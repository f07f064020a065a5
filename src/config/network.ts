import { isIPv4, isIPv6 } from 'node:net'

/** A network, or with all bits one address. The same shape as the PROXY protocol's own. */
export interface Network {
  readonly address: string
  /** Length of the prefix. */
  readonly bits: number
}

/** Reads `10.0.0.0/8`, `fd00::/64` or an address alone. Returns a string that says what is wrong where it is neither. */
export function readNetwork(text: string): Network | string {
  const [address = '', length, ...more] = text.split('/')
  const width = isIPv4(address) ? 32 : isIPv6(address) && !address.includes('%') ? 128 : undefined
  if (width === undefined || more.length > 0) return 'is neither an address nor a network'
  if (length === undefined) return { address, bits: width }
  if (!/^\d{1,3}$/.test(length) || Number(length) > width) return `has no prefix length of 0 to ${width}`
  const bits = Number(length)
  return bitsBeyond(address, bits) ? `has bits beyond its prefix of ${bits}` : { address, bits }
}

/** Whether an address has bits that its network has not: mostly a network that was meant to be another. */
function bitsBeyond(address: string, bits: number): boolean {
  const groups = isIPv4(address) ? address.split('.').map(Number) : sixGroups(address)
  const groupBits = isIPv4(address) ? 8 : 16
  return groups.some((group, index) => {
    const kept = Math.min(groupBits, Math.max(0, bits - index * groupBits))
    return (group & ((1 << (groupBits - kept)) - 1)) !== 0
  })
}

/** The eight groups of an IPv6 address. */
function sixGroups(address: string): number[] {
  const [head = '', tail = ''] = new URL(`http://[${address}]/`).hostname.slice(1, -1).split('::')
  const numbers = (part: string) =>
    part === '' ? [] : part.split(':').map((group) => Number.parseInt(group, 16))
  const [before, behind] = [numbers(head), numbers(tail)]
  return [...before, ...Array<number>(8 - before.length - behind.length).fill(0), ...behind]
}
