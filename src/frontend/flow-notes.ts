import type { FlowRecord } from '../registry/index.js'
import type { Steering } from '../steering/index.js'
import type { Backend } from './backend.js'
import type { Backends } from './backends.js'
import type { Connection } from './connection.js'

/** What other frontends are to know of a connection that is being offered. */
export function flowNote({ flow, backend, id }: Connection, frontendId: string): FlowRecord {
  return { key: flow, agentId: backend.id, agentEpoch: backend.epoch ?? 0, frontendId, handoffId: id }
}

/**
 * The notes of all flows that are steered now, as far as their agents can be told by their next hops. Those of an agent
 * whose channel is down are left out: perhaps another frontend claimed them meanwhile, and its newer notes must stand.
 */
export function* liveNotes(
  steering: Steering,
  backends: Backends,
  frontendId: string,
): Generator<FlowRecord> {
  const byHop = new Map<string, Backend | 'several'>()
  for (const backend of backends.all()) {
    for (const hop of [backend.steerTo.ipv4, backend.steerTo.ipv6]) {
      if (hop !== null) byHop.set(hop, byHop.has(hop) ? 'several' : backend)
    }
  }
  for (const [key, { state, id, nextHop }] of steering.entries()) {
    if (state !== 'steer' || nextHop === null) continue
    const backend = byHop.get(nextHop)
    if (backend === undefined || backend === 'several') continue
    if (backend.channel === undefined || backend.epoch === undefined) continue
    yield { key, agentId: backend.id, agentEpoch: backend.epoch, frontendId, handoffId: id }
  }
}
