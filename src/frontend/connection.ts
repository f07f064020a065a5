import type { RequestHead } from '../gate/index.js'
import type { FlowKey } from '../kernel/flow.js'
import type { Snapshot } from '../repair/index.js'
import type { Backend } from './backend.js'
import type { Pool } from './pool.js'

/** A connection between its whole head and its next owner. */
export interface Connection {
  readonly fd: number
  readonly flow: FlowKey
  readonly ipv4: boolean
  readonly listener: string
  readonly head: RequestHead
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
  /** performance.now() of the freeze and of the offer. */
  frozenAtMs: number
  offeredAtMs: number
}

/** Whether the flow is IPv4 on the wire: its addresses are ::ffff:a.b.c.d. */
export function isIpv4Flow(flow: FlowKey): boolean {
  return (
    flow[10] === 0xff &&
    flow[11] === 0xff &&
    flow.readUInt32BE(0) === 0 &&
    flow.readUInt32BE(4) === 0 &&
    flow.readUInt16BE(8) === 0
  )
}
