export type FrontendState = 'new' | 'starting' | 'running' | 'draining' | 'stopped'

/** What GET /v1/status answers. Counts are since the start of the process unless said otherwise. */
export interface FrontendStatus {
  readonly role: 'frontend'
  readonly id: string
  readonly version: string
  readonly startedAt: string
  readonly uptimeSeconds: number
  /** proxyProtocol: each connection begins with a PROXY protocol header. */
  readonly listeners: readonly { name: string; address: string; protocol: string; proxyProtocol: boolean }[]
  readonly connections: { readonly accepted: number; readonly relayedNow: number }
  readonly handoffs: {
    readonly adopted: number
    readonly refused: number
    readonly lost: number
    /** Offers without an answer yet, now. */
    readonly inFlight: number
    /** Connections that agents gave back because the next request belonged elsewhere. */
    readonly returned: number
  }
  /** Flows that were unknown here and looked up, by what came of it: another frontend had handed them over, or not. */
  readonly failovers: {
    /** Steered from then on. */
    readonly steered: number
    /** Noted by no frontend. */
    readonly unknown: number
    /** Noted, and over. */
    readonly gone: number
    /** Their agent could not be reached in time. */
    readonly unreachable: number
    /** Redis or the agent had no answer in time; the next packet asks again. */
    readonly unanswered: number
    /** In question now. */
    readonly waiting: number
  }
  readonly relays: Readonly<Record<string, number>>
  readonly rejected: Readonly<Record<string, number>>
  /** The flow table, now. */
  readonly flows: Readonly<Record<string, number>>
  readonly backends: readonly BackendStatus[]
  readonly registry: {
    readonly kind: string
    readonly connected: boolean
    readonly queuedWrites: number
    readonly droppedWrites: number
  }
}

export interface BackendStatus {
  readonly id: string
  readonly pools: readonly string[]
  readonly agent: string | null
  readonly address: string | null
  readonly weight: number
  /** `up` takes handoffs; `relay` has no agent; the others say why it takes none now. */
  readonly state: 'up' | 'down' | 'draining' | 'full' | 'relay'
  readonly active: number
  readonly inFlight: number
  readonly relayed: number
  readonly rttMs: number | null
}

/** One entry of the flow table. */
export interface FlowStatus {
  readonly client: string
  readonly vip: string
  readonly state: string
  readonly handoffId: number
  readonly nextHop: string | null
  /** Steered so far, client to backend. */
  readonly packets: number
  readonly bytes: number
}
