import type { CloseCause, Closed } from '../handoff/index.js'
import { endpointText, type FlowKey, parseFlowKey } from '../kernel/flow.js'
import type { Adoption } from './served.js'
import type { AgentState } from './status.js'

/** What an {@link Agent} tells its program, by `on()` and `once()`; a listener costs nothing where there is none. */
export interface AgentEvents {
  state: [state: AgentState]
  /** A frontend's control channel is up, or lost. */
  frontend: [frontend: { readonly id: string; readonly up: boolean }]
  /** A connection was taken over and is about to be given to the application. */
  adopted: [connection: AdoptedConnection]
  /** A connection is over, or lives on elsewhere (cause `moved`). */
  closed: [connection: ClosedConnection]
}

/** Whose connection it is. */
export interface ConnectionEnds {
  /** ADDRESS:PORT, as the application's socket has them. */
  readonly client: string
  readonly vip: string
  /** Id of the frontend that steers it here. */
  readonly frontend: string
}

export interface AdoptedConnection extends ConnectionEnds {
  /** Names from the configuration of the frontend. */
  readonly listener: string
  readonly pool: string
}

export interface ClosedConnection extends ConnectionEnds {
  /** From the client and to it, while it was here. */
  readonly bytesIn: number
  readonly bytesOut: number
  /** While it was here. */
  readonly durationMs: number
  readonly cause: CloseCause
  /** Requests answered here; 0 where nobody counted. */
  readonly requests: number
  /** Of the last answer; null where unknown. */
  readonly status: number | null
}

function ends(flow: FlowKey, frontend: string): ConnectionEnds {
  const { client, vip } = parseFlowKey(flow)
  return { client: endpointText(client), vip: endpointText(vip), frontend }
}

export function adoptedConnection({ frontendId, offer }: Adoption): AdoptedConnection {
  return { ...ends(offer.snapshot.flow, frontendId), listener: offer.listener, pool: offer.pool }
}

export function closedConnection(frontendId: string, record: Closed): ClosedConnection {
  const { flow, bytesIn, bytesOut, durationMs, cause, requests, status } = record
  const figures = { bytesIn, bytesOut, durationMs, cause, requests }
  return { ...ends(flow, frontendId), ...figures, status: status === 0 ? null : status }
}
