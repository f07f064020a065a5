import type { RegistryStatus } from '../registry/index.js'

export type AgentState = 'new' | 'starting' | 'running' | 'draining' | 'stopped'

/** What GET /v1/status of an agent says. */
export interface AgentStatus {
  readonly role: 'agent'
  readonly id: string
  readonly version: string
  readonly state: AgentState
  readonly uptimeSeconds: number
  readonly pools: readonly string[]
  /** What serves: the fallback's where `adopt` is configured and cannot work here. */
  readonly deliver: 'adopt' | 'http' | 'inline' | 'tcp'
  /** Where it listens; null in this process. */
  readonly application: string | null
  readonly control: string
  /** Adopted connections that are open. */
  readonly active: number
  /** Offers taken at once, now. */
  readonly capacity: number
  readonly channels: readonly {
    readonly frontend: string
    readonly up: boolean
    readonly rttMs: number | null
    /** Of its routes; null before they came. */
    readonly routesVersion: number | null
  }[]
  readonly adopted: number
  /** By code. */
  readonly refused: Readonly<Record<string, number>>
  /** Connections that deliver.fallback served because they could not be adopted, by code. */
  readonly fallback: Readonly<Record<string, number>>
  /** Ended connections by cause. */
  readonly closed: Readonly<Record<string, number>>
  /** Connections given back: moved, kept, failed. */
  readonly returns: Readonly<Record<string, number>>
  /** Requests of other pools: relayed, misdirected, unroutable. */
  readonly misplaced: Readonly<Record<string, number>>
  readonly steerTo: { readonly ipv4: string | null; readonly ipv6: string | null }
  readonly registry: RegistryStatus
}
