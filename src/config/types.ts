import type { AgentFile } from './agent-schema.js'
import type { FrontendFile } from './frontend-schema.js'
import type { RedisTarget } from './redis-url.js'

/** Who is there and who holds what. */
export type RegistryConfig =
  | { readonly kind: 'memory' }
  | { readonly kind: 'redis'; readonly target: RedisTarget; readonly keyPrefix: string }

/** How frontends and agents prove to each other who they are; paths are absolute. */
export type ControlConfig =
  | { readonly tokenFile: string }
  | { readonly tls: { readonly certFile: string; readonly keyFile: string; readonly caFile: string } }

type DeepReadonly<T> = T extends object ? { readonly [K in keyof T]: DeepReadonly<T[K]> } : T

export type PoolConfig = DeepReadonly<FrontendFile['pools'][string]>
export type BackendConfig = PoolConfig['backends'][number]
export type ListenerConfig = DeepReadonly<FrontendFile['listeners'][number]>
export type RouteConfig = DeepReadonly<FrontendFile['routes'][number]>
export type SteeringConfig = DeepReadonly<NonNullable<FrontendFile['steering']>>
export type DeliverConfig = DeepReadonly<AgentFile['deliver']>

/**
 * A checked frontend.yaml, defaults filled in, addresses parsed, paths absolute. A pool that handles handoffs
 * (`handoff: auto`) implies that `steering` and `control` are there.
 */
export interface FrontendConfig extends DeepReadonly<Omit<FrontendFile, 'pools' | 'registry' | 'control'>> {
  /** Pools by name. With a Redis registry, pools that only a route names are here too. */
  readonly pools: ReadonlyMap<string, PoolConfig>
  readonly registry: RegistryConfig
  readonly control?: ControlConfig
}

/** A checked agent.yaml, defaults filled in, addresses parsed, paths absolute. */
export interface AgentConfig extends DeepReadonly<Omit<AgentFile, 'registry'>> {
  readonly registry: RegistryConfig
}
