import { isIP } from 'node:net'
import type { Endpoint } from '../kernel/flow.js'
import type { BackendRecord } from './registry.js'

/** A record as it stands in Redis. The nonce tells one announcement from another with the same id. */
export interface Lease {
  readonly record: BackendRecord
  readonly nonce: string
}

export function encodeLease({ record, nonce }: Lease): string {
  return JSON.stringify({ ...record, nonce })
}

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/
const MAX_TEXT = 16_384

/** Undefined for what is not a record: other programs may write to the same Redis. */
export function decodeLease(text: string): Lease | undefined {
  if (text.length > MAX_TEXT) return undefined
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return undefined
  }
  if (typeof value !== 'object' || value === null) return undefined
  const { id, pools, agent, address, weight, draining, active, epoch, nonce } = value as Record<
    string,
    unknown
  >
  if (
    !isName(id) ||
    !Array.isArray(pools) ||
    !pools.every(isName) ||
    !isEndpointOrNull(agent) ||
    !isEndpointOrNull(address) ||
    !isCount(weight) ||
    weight < 1 ||
    typeof draining !== 'boolean' ||
    !isCount(active) ||
    !isCount(epoch) ||
    typeof nonce !== 'string'
  ) {
    return undefined
  }
  return { record: { id, pools, agent, address, weight, draining, active, epoch }, nonce }
}

function isName(value: unknown): value is string {
  return typeof value === 'string' && NAME.test(value)
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0
}

function isEndpointOrNull(value: unknown): value is Endpoint | null {
  if (value === null) return true
  if (typeof value !== 'object' || !('address' in value) || !('port' in value)) return false
  const { address, port } = value
  return typeof address === 'string' && isIP(address) !== 0 && isCount(port) && port > 0 && port <= 65535
}
