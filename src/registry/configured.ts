import type { PoolConfig } from '../config/index.js'
import type { BackendRecord } from './registry.js'

/** The backends of a frontend.yaml as records; one that stands in several pools is one record. */
export function configuredBackends(pools: ReadonlyMap<string, PoolConfig>): BackendRecord[] {
  const records = new Map<string, BackendRecord>()
  for (const [pool, { backends }] of pools) {
    for (const { id, agent, address, weight } of backends) {
      const known = records.get(id)
      records.set(id, {
        id,
        pools: [...(known?.pools ?? []), pool],
        agent: agent ?? null,
        address: address ?? null,
        weight,
        draining: false,
        active: 0,
        epoch: 0,
      })
    }
  }
  return [...records.values()]
}
