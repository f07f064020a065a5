import { BatonError } from '../errors/index.js'

/** What a client may take. Sources of the defaults: nginx, HAProxy and Node have the same order of size. */
export interface GateLimits {
  /** Largest head in bytes: 256 to 262144, default 16384. */
  readonly headBytes: number
  /** From accept (or, on a watched connection, from the first byte) to the whole head: 1 to 600000, default 10000. */
  readonly headTimeoutMs: number
  /** Connections accepted and not yet released; default 0, which is no limit. */
  readonly maxConnections: number
  /** The same per IPv4 address or IPv6 /64; default 0, which is no limit and costs nothing. */
  readonly maxConnectionsPerClient: number
}

const ranges = {
  headBytes: { initial: 16 * 1024, min: 256, max: 256 * 1024 },
  headTimeoutMs: { initial: 10_000, min: 1, max: 600_000 },
  maxConnections: { initial: 0, min: 0, max: 2 ** 31 },
  maxConnectionsPerClient: { initial: 0, min: 0, max: 2 ** 31 },
} as const

/** Fills in the defaults. @throws BatonError BATON_GATE_LIMITS */
export function gateLimits(given: Partial<GateLimits>): GateLimits {
  const limit = (name: keyof GateLimits): number => {
    const { initial, min, max } = ranges[name]
    const value = given[name] ?? initial
    if (!Number.isInteger(value) || value < min || value > max) {
      throw new BatonError('BATON_GATE_LIMITS', { detail: `${name} is ${value}, not ${min} to ${max}.` })
    }
    return value
  }
  return {
    headBytes: limit('headBytes'),
    headTimeoutMs: limit('headTimeoutMs'),
    maxConnections: limit('maxConnections'),
    maxConnectionsPerClient: limit('maxConnectionsPerClient'),
  }
}
