import type { Settlement } from '../handoff/index.js'
import type { FlowKey } from '../kernel/flow.js'
import type { Snapshot } from '../repair/index.js'
import type { ClientFields } from '../telemetry/index.js'
import type { Backend } from './backend.js'
import type { Head } from './head.js'
import type { Pool } from './pool.js'

/** A connection between its whole head and its next owner. */
export interface Connection {
  readonly kind: 'connection'
  readonly fd: number
  readonly flow: FlowKey
  readonly ipv4: boolean
  readonly listener: string
  /** Who a balancer in front says the client is; null without one. */
  readonly claimed: FlowKey | null
  readonly head: Head
  /** Left out where the access log does not want them. */
  readonly clientFields: ClientFields | undefined
  readonly route: number
  readonly pool: Pool
  /** performance.now() of accept and of the whole head. */
  readonly acceptedAtMs: number
  readonly headAtMs: number
  /** Backends that refused it. */
  readonly tried: Backend[]
  /** Once frozen. */
  snapshot: Snapshot | undefined
  /** The one it is offered to now. */
  backend: Backend
  /** The backend's next hop for this flow, as it was when it was chosen. */
  nextHop: string
  /** Of the offer under way. */
  id: number
  offeredAtMs: number
}

/** A flow that a predecessor of this process had offered to an agent when it died. */
export interface LeftFlow {
  readonly kind: 'left'
  settled(settlement: Settlement): void
}

/** What the giver gives back with its verdict. */
export type Given = Connection | LeftFlow

/** Where a connection came from: the gate, or an agent that gave it back. */
export interface Origin {
  readonly fd: number
  readonly flow: FlowKey
  readonly listener: string
  readonly claimed: FlowKey | null
  readonly head: Head
  readonly clientFields?: ClientFields | undefined
  readonly acceptedAtMs: number
  readonly headAtMs: number
}

export function makeConnection(
  origin: Origin,
  chosen: { route: number; pool: Pool; backend: Backend; ipv4: boolean },
): Connection {
  const { fd, flow, listener, claimed, head, clientFields, acceptedAtMs, headAtMs } = origin
  const { route, pool, backend, ipv4 } = chosen
  return {
    kind: 'connection',
    fd,
    flow,
    ipv4,
    listener,
    claimed,
    head,
    clientFields,
    route,
    pool,
    acceptedAtMs,
    headAtMs,
    tried: [],
    snapshot: undefined,
    backend,
    nextHop: backend.nextHop(ipv4) ?? '',
    id: 0,
    offeredAtMs: 0,
  }
}
