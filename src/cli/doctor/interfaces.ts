import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { addressBytes } from '../../kernel/flow.js'

const run = promisify(execFile)

/** An interface as `ip` tells it: in the network namespace of this process, unlike /sys/class/net. */
export interface Interface {
  readonly name: string
  readonly mtu: number
  readonly up: boolean
  readonly addresses: readonly string[]
}

export async function interfaces(): Promise<Interface[]> {
  const { stdout } = await run('ip', ['-j', 'addr', 'show'])
  return list(JSON.parse(stdout)).map((row) => ({
    name: text(row.ifname),
    mtu: Number(row.mtu),
    up: Array.isArray(row.flags) && row.flags.includes('UP'),
    addresses: list(row.addr_info).map((entry) => text(entry.local)),
  }))
}

export interface Route {
  readonly device: string
  /** Null when the destination is on the device's own segment. */
  readonly gateway: string | null
}

/** Where this host sends packets to an address; undefined when it has no route. */
export async function routeTo(address: string): Promise<Route | undefined> {
  try {
    const { stdout } = await run('ip', ['-j', 'route', 'get', address])
    const row = list(JSON.parse(stdout))[0]
    if (row === undefined) return undefined
    return { device: text(row.dev), gateway: row.gateway === undefined ? null : text(row.gateway) }
  } catch (error) {
    // "Network is unreachable" and its like: exit status 2.
    if (error instanceof Error && 'code' in error && error.code === 2) return undefined
    throw error
  }
}

/** The segment size that two hosts agreed on, and the one that this host offered, of a connection by its own port. */
export async function segmentSizes(
  localPort: number,
): Promise<{ agreed: number; offered: number } | undefined> {
  const { stdout } = await run('ss', ['-HtinO', 'state', 'established', 'sport', '=', `:${localPort}`])
  const agreed = /\bmss:(\d+)/.exec(stdout)?.[1]
  const offered = /\badvmss:(\d+)/.exec(stdout)?.[1]
  return agreed === undefined || offered === undefined
    ? undefined
    : { agreed: Number(agreed), offered: Number(offered) }
}

/** Whether two texts are the same address (fd00::1 and fd00:0::1 are). */
export function sameAddress(one: string, other: string): boolean {
  return addressBytes(one).equals(addressBytes(other))
}

function list(value: unknown): Record<string, unknown>[] {
  return Array.isArray(value) ? value.filter((row) => typeof row === 'object' && row !== null) : []
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : ''
}
