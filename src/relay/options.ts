/** How a relay behaves. Times in ms; 0 switches a time limit off. */
export interface RelayOptions {
  /** Connections to one address. Default 256. */
  readonly maxConnections?: number
  /** Requests that may wait for a connection to one address before 503 is answered. Default 1024. */
  readonly maxWaiting?: number
  /** Default 2000. */
  readonly connectTimeoutMs?: number
  /** From the whole request to the head of the answer. Default 60000. */
  readonly responseTimeoutMs?: number
  /** Between two pieces of the answer's body. Default 60000. */
  readonly bodyTimeoutMs?: number
  /** An idle connection to the application is kept so long. Default 4000. */
  readonly idleTimeoutMs?: number
  /** See {@link ForwardOptions}. Default `append`. */
  readonly forwarded?: 'append' | 'replace' | 'off'
}

export const relayDefaults = {
  maxConnections: 256,
  maxWaiting: 1024,
  connectTimeoutMs: 2000,
  responseTimeoutMs: 60_000,
  bodyTimeoutMs: 60_000,
  idleTimeoutMs: 4000,
  forwarded: 'append',
} as const satisfies Required<RelayOptions>

export type RelaySettings = Required<RelayOptions>
