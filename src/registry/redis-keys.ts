import { FLOW_KEY_BYTES, type FlowKey } from '../kernel/flow.js'
import { FLOW_GENERATION_MS, type FlowRecord } from './registry.js'

/**
 * Names in Redis, after the configured prefix (docs/decisions/0004):
 *
 *     {backends}:ids            set     ids of all that were ever announced and not yet swept
 *     {backends}:lease:ID       string  the record as JSON, with a lease of 5 s
 *     {backends}:events         channel "changed" | "withdrawn NONCE"
 *     flows:{SHARD}:GENERATION  hash    flow key (36 bytes) → "epoch handoff agent frontend"
 *
 * What stands in braces decides the slot in a cluster.
 */
export class RedisKeys {
  readonly ids: string
  readonly events: string
  readonly #prefix: string

  constructor(prefix: string) {
    this.#prefix = prefix
    this.ids = `${prefix}{backends}:ids`
    this.events = `${prefix}{backends}:events`
  }

  lease(id: string): string {
    return `${this.#prefix}{backends}:lease:${id}`
  }

  flows(key: FlowKey, generation: number): string {
    return `${this.#prefix}flows:{${shardOf(key)}}:${generation}`
  }
}

/** Enough that a shard of a million flows stays a compact listpack (hash-max-listpack-entries 512). */
const SHARDS = 4096

/** FNV-1a over the key: client addresses and ports are all but random. */
function shardOf(key: FlowKey): number {
  let hash = 0x811c9dc5
  for (let index = 0; index < FLOW_KEY_BYTES; index++) hash = Math.imul(hash ^ (key[index] ?? 0), 0x01000193)
  return (hash ^ (hash >>> 15)) & (SHARDS - 1)
}

export function generationAt(timeMs: number): number {
  return Math.floor(timeMs / FLOW_GENERATION_MS)
}

/** When a generation's hashes may go, in seconds since the epoch: a whole generation after its last write. */
export function generationExpiry(generation: number): number {
  return ((generation + 2) * FLOW_GENERATION_MS) / 1000
}

/** At most 64 bytes for usual ids, which keeps the listpack. */
export function encodeFlow(flow: FlowRecord): string {
  return `${flow.agentEpoch.toString(36)} ${flow.handoffId.toString(36)} ${flow.agentId} ${flow.frontendId}`
}

/** Undefined for what no Baton wrote. */
export function decodeFlow(key: FlowKey, text: string): FlowRecord | undefined {
  const [epoch = '', handoff = '', agentId = '', frontendId = '', ...more] = text.split(' ')
  const agentEpoch = Number.parseInt(epoch, 36)
  const handoffId = Number.parseInt(handoff, 36)
  const whole = Number.isSafeInteger(agentEpoch) && Number.isSafeInteger(handoffId)
  if (!whole || agentId === '' || frontendId === '' || more.length > 0) return undefined
  return { key, agentId, agentEpoch, frontendId, handoffId }
}
