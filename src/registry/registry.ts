import type { Endpoint, FlowKey } from '../kernel/flow.js'

/** A backend as the frontends see it. */
export interface BackendRecord {
  /** The configured id of its agent. */
  readonly id: string
  readonly pools: readonly string[]
  /** Its agent's control address; null: connections are relayed to it. */
  readonly agent: Endpoint | null
  /** Where relayed connections go; null: nothing is relayed to it. */
  readonly address: Endpoint | null
  /** 1–1000. */
  readonly weight: number
  /** It ends what it has and takes nothing new. */
  readonly draining: boolean
  /** Connections that it said it serves, at its last renewal. */
  readonly active: number
  /** Of its agent's process; 0 while nothing announced it. */
  readonly epoch: number
}

/** Who holds a connection. */
export interface FlowRecord {
  readonly key: FlowKey
  readonly agentId: string
  /** Of the agent's process that adopted it: with another epoch there, the connection is gone. */
  readonly agentEpoch: number
  readonly frontendId: string
  readonly handoffId: number
}

/** A backend's presence, as long as its agent renews it. */
export interface Announcement {
  /** Draining, weight, pools and addresses reach the frontends at once; `active` with the next renewal. */
  update(change: Partial<Omit<BackendRecord, 'id'>>): void
  /** Takes it back. Resolves when the registry knows, or cannot be told for now: then the lease ends it. */
  withdraw(): Promise<void>
}

export interface RegistryStatus {
  readonly kind: 'memory' | 'redis'
  /** Always true for memory. */
  readonly connected: boolean
  /** Flow writes that wait for Redis, now. */
  readonly queuedWrites: number
  /** Flow writes thrown away since the start: the queue was full, or Redis refused them. */
  readonly droppedWrites: number
}

/**
 * Who is there and who holds what. Nothing here is on a client's path: reads come from memory, writes are queued.
 * With Redis away everything known stays known.
 */
export interface Registry {
  /**
   * Connects and learns the backends. Resolves also when Redis does not answer within two seconds: the file's
   * backends are known then, and the rest follows.
   */
  start(): Promise<void>
  /** All backends, the configuration file's and the announced ones merged by id; sorted by id. */
  backends(): readonly BackendRecord[]
  /** Calls back after every change, never with the list unchanged. Returns what stops it. */
  onBackends(listener: (backends: readonly BackendRecord[]) => void): () => void
  /** Makes a backend known, under a lease of five seconds that is renewed until it is withdrawn. */
  announce(record: BackendRecord): Announcement
  /**
   * Notes who holds connections, for other frontends. Returns at once; a later note of the same flow replaces an earlier
   * one. A registry that only this process reads keeps none.
   */
  putFlows(flows: readonly FlowRecord[]): void
  removeFlows(keys: readonly FlowKey[]): void
  /**
   * Who holds a connection, by any frontend's note.
   * @throws BatonError BATON_REGISTRY_UNAVAILABLE when Redis does not answer, or has none just after it came back;
   * BATON_REGISTRY_CLOSED
   */
  findFlow(key: FlowKey): Promise<FlowRecord | undefined>
  /**
   * Names where the live flows can be read, for notes that outlast FLOW_GENERATION_MS or a Redis that lost its data:
   * the source is asked every half generation and after every new connection to Redis, and read in slices.
   */
  renewFlowsFrom(source: () => Iterable<FlowRecord>): void
  status(): RegistryStatus
  /** Withdraws what was announced, writes what is queued (at most a second), and lets go. */
  close(): Promise<void>
}

/** A note of a flow lives at least this long after it was last written, and less than twice as long. */
export const FLOW_GENERATION_MS = 3_600_000
/** An agent that died is gone after this. */
export const LEASE_MS = 5000
export const RENEW_MS = 1500

/** The part of a pino logger that a registry uses. */
export interface RegistryLogger {
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
}
