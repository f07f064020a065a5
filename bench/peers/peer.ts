import type { Host } from '../../src/lab/index.js'

/** Everybody who is measured. `baton-KIND` is Baton with agents of that `deliver.kind`. */
export const peerNames = [
  'direct',
  'haproxy',
  'haproxy-splice',
  'nginx',
  'http-proxy',
  'fastify',
  'baton-adopt',
  'baton-inline',
  'baton-http',
] as const
export type PeerName = (typeof peerNames)[number]

/** Baton, by what its agents deliver to. */
export type BatonName = Extract<PeerName, `baton-${string}`>
export type ProxyName = Exclude<PeerName, BatonName | 'direct'>

export const isBaton = (name: PeerName): name is BatonName => name.startsWith('baton-')
export const isProxy = (name: PeerName): name is ProxyName => name !== 'direct' && !isBaton(name)

/** `baton-adopt` → `adopt`: also the name of the pool, and `adopt.example` the Host that leads there. */
export const kindOf = (name: BatonName) => name.slice('baton-'.length) as 'adopt' | 'inline' | 'http'

/** Where a client connects, and the Host that it asks for. */
export interface Target {
  readonly address: string
  readonly port: number
  readonly host: string
}

/** One way from the client to the backends. GET /bytes/N at a target gives N bytes; see {@link objectPath}. */
export interface Peer {
  readonly name: PeerName
  /** With its version, for tables: `HAProxy 2.6.12, forced splice`. */
  readonly title: string
  /** One, or for the direct connection one for each backend, between which the client takes turns. */
  readonly targets: readonly Target[]
  /** Who stands between; nobody does on the direct connection. */
  readonly host: Host | undefined
  /** The backends' hosts, in order. */
  readonly backends: readonly Host[]
  /** Of {@link host}: every process, workers included. Empty on the direct connection and when it does not run. */
  pids(): readonly number[]
  /** Of what the peer needs on the backends' hosts beside the application: Baton's agents. */
  agentPids(): readonly number[]
  /** Starts what stands between (the backends run as long as the field does). Resolves when it takes connections. */
  start(): Promise<void>
  /** Ends it in its own time. */
  stop(): Promise<void>
  /** SIGKILL to every process of {@link pids}, all at once. */
  kill(): Promise<void>
}

/** The path of an object of that many bytes, the same by every way. */
export const objectPath = (bytes: number): string => `/bytes/${bytes}`
