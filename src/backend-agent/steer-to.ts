import { networkInterfaces } from 'node:os'
import type { Endpoint } from '../kernel/flow.js'

export interface Segment {
  /** The interface on the frontends' segment; null when none was found. */
  readonly interface: string | null
  /** Next hops by which this host takes steered packets there. */
  readonly steerTo: { readonly ipv4: string | null; readonly ipv6: string | null }
}

/**
 * Finds the interface that has the control address (or is named, or else the first that is not loopback) and this
 * host's addresses on it, for a frontend to use as next hops. VIPs are none: every backend has them.
 */
export function findSegment(control: Endpoint, vips: readonly string[], named?: string): Segment {
  const all = Object.entries(networkInterfaces())
  const wildcard = control.address === '0.0.0.0' || control.address === '::'
  const found =
    all.find(([name]) => name === named) ??
    all.find(([, list]) => list?.some(({ address }) => address === control.address)) ??
    (wildcard ? all.find(([, list]) => list?.some(({ internal }) => !internal)) : undefined)
  if (found === undefined) return { interface: null, steerTo: { ipv4: null, ipv6: null } }
  const [name, list = []] = found
  const usable = list.filter(({ address }) => !vips.includes(address))
  const first = (family: 'IPv4' | 'IPv6', test: (address: string) => boolean) =>
    usable.find((entry) => entry.family === family && test(entry.address))?.address
  const isControl = (address: string) => address === control.address
  const linkLocal = (address: string) => address.startsWith('fe80:')
  return {
    interface: name,
    steerTo: {
      ipv4: first('IPv4', isControl) ?? first('IPv4', () => true) ?? null,
      ipv6:
        first('IPv6', isControl) ??
        first('IPv6', (address) => !linkLocal(address)) ??
        first('IPv6', linkLocal) ??
        null,
    },
  }
}
