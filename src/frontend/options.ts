import { type FrontendConfig, readFrontendOptions } from '../config/index.js'
import { BatonError } from '../errors/index.js'
import type { CustomProtocol } from './protocol.js'

/** `10.0.0.100:80` or `[fd00::100]:80`. */
export type AddressText = string

/**
 * What createFrontend() takes: the keys of frontend.yaml, with the same defaults and the same strictness
 * (docs/configuration.md); and in place of a listener's protocol, one of the program's own.
 */
export interface FrontendOptions {
  /** Name of this frontend, unlike that of any other. Default: the host name. */
  readonly id?: string
  /** At least one. */
  readonly listeners: readonly ListenerOptions[]
  /** At least one; the first that matches decides. Where none does, the client is refused. */
  readonly routes: readonly RouteOptions[]
  /** By name. Default: none, which a Redis registry then fills. */
  readonly pools?: Readonly<Record<string, PoolOptions>>
  readonly limits?: {
    /** Of a head, in bytes: 256 to 262144, default 16384. */
    readonly headBytes?: number
    /** Until the whole head is there, in ms: default 10000. */
    readonly headTimeoutMs?: number
    /** Connections at the gate: default 65536; 0 is no limit. */
    readonly maxConnections?: number
    /** The same for one client address: default 0, which is no limit. */
    readonly maxConnectionsPerClient?: number
  }
  readonly timeouts?: {
    /** To connect to a backend when relaying: default 3000. */
    readonly connectTimeoutMs?: number
    /** For a backend to begin its answer when relaying: default 60000; 0 is no limit. */
    readonly responseTimeoutMs?: number
    /** Without a byte either way on a relayed connection: default 60000; 0 is no limit. */
    readonly idleTimeoutMs?: number
    /** What {@link Frontend.close} waits for relayed requests and handoffs in flight: default 30000. */
    readonly drainTimeoutMs?: number
  }
  readonly handoff?: {
    /** For an agent to answer an offer before it is asked: default 1000. */
    readonly budgetMs?: number
    /** To find out what became of it before the connection is reset: default 10000. */
    readonly unknownTimeoutMs?: number
  }
  /** The flow table in the kernel. Needed unless every pool says `handoff: 'never'`. */
  readonly steering?: {
    /** The interface at which packets for the VIP arrive. */
    readonly interface: string
    /** Default auto: TCX where the kernel has it (6.6), else clsact. */
    readonly attach?: 'auto' | 'tcx' | 'clsact'
    /** Folder on a bpffs. Default /sys/fs/bpf/baton. */
    readonly pinPath?: string
    /** Connections that can be steered at once: default 1048576. */
    readonly maxFlows?: number
    /** For packets of an ended connection: default 60000. */
    readonly lingerMs?: number
    /** For silence after which an agent is asked whether the connection is still there: default 600000. */
    readonly idleMs?: number
  }
  /** Default memory: who is there is what `pools` says. */
  readonly registry?:
    | { readonly kind: 'memory' }
    | { readonly kind: 'redis'; readonly url: string; readonly keyPrefix?: string }
    | { readonly kind: 'redis'; readonly urlFile: string; readonly keyPrefix?: string }
  /** How agents know this frontend. Needed unless every pool says `handoff: 'never'`. */
  readonly control?:
    | { readonly tokenFile: string }
    | { readonly tls: { readonly certFile: string; readonly keyFile: string; readonly caFile: string } }
  /** /metrics, /healthz, /readyz, /v1/…. Default 127.0.0.1:9900. */
  readonly admin?: { readonly address: AddressText }
  readonly log?: {
    /** Default info. */
    readonly level?: 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent'
    /** A file, `-` for standard output (the default), or `off`. The event `access` comes in any case. */
    readonly accessLog?: string
    /** Default json. */
    readonly accessLogFormat?: 'json' | 'common' | 'combined'
  }
}

export interface ListenerOptions {
  /** Its name in logs and metrics. */
  readonly name: string
  /** The VIP and port. Port 0: any free one, which {@link Frontend.addresses} tells. */
  readonly address: AddressText
  /** Default http. */
  readonly protocol?: 'http' | 'tls' | 'tcp' | CustomProtocol
  /** Default 4096. */
  readonly backlog?: number
  /** Each connection begins with a PROXY protocol header, and comes from one of these networks. Default: none does. */
  readonly proxyProtocol?: { readonly from: readonly string[] }
}

export interface RouteOptions {
  /**
   * `host` and `path` are for http listeners, `sni` and `alpn` for tls listeners, `listeners` for the tcp listeners that
   * it names, `key` for those with a protocol of the program's own; `{}` is every HTTP request.
   */
  readonly match: {
    readonly host?: string
    readonly path?: { readonly exact: string } | { readonly prefix: string }
    readonly sni?: string
    readonly alpn?: string
    readonly listeners?: readonly string[]
    /** As the head reader found it; `mail*` for all that begin so, `*` for every one. */
    readonly key?: string
  }
  /** Who serves it. */
  readonly pool: string
}

export interface PoolOptions {
  /** Default roundRobin. */
  readonly balance?: 'roundRobin' | 'leastConnections'
  /** Default auto. */
  readonly handoff?: 'auto' | 'never'
  /** The header that relayed tls and tcp connections begin with, to say who the client is. Default off. */
  readonly proxyProtocol?: 'off' | 'v1' | 'v2'
  /** Default none: agents that announce themselves in Redis join. */
  readonly backends?: readonly BackendOptions[]
}

export interface BackendOptions {
  /** The same as the id of its agent. */
  readonly id: string
  /** Control address of its agent; without it connections are relayed. */
  readonly agent?: AddressText
  /** Where its application takes relayed connections; without it nothing is relayed. */
  readonly address?: AddressText
  /** 1–1000, default 1. */
  readonly weight?: number
}

/** Checks the options and fills in the defaults. @throws BatonError BATON_CONFIG_INVALID with every mistake */
export function frontendConfig(options: FrontendOptions): {
  readonly config: FrontendConfig
  /** By the names of their listeners. */
  readonly protocols: ReadonlyMap<string, CustomProtocol>
} {
  const protocols = new Map<string, CustomProtocol>()
  const listeners: unknown = options?.listeners
  if (!Array.isArray(listeners)) return { config: readFrontendOptions(options, NAME), protocols }
  const plain = listeners.map((listener: unknown, index) => withoutReader(listener, index, protocols))
  return { config: readFrontendOptions({ ...options, listeners: plain }, NAME), protocols }
}

const NAME = 'createFrontend()'

/** The listener as a file would have it, its reader put aside; anything else that is wrong is left to the schema. */
function withoutReader(listener: unknown, index: number, protocols: Map<string, CustomProtocol>): unknown {
  if (!isObject(listener)) return listener
  const { name, protocol } = listener
  if (protocol !== 'custom' && !isObject(protocol)) return listener
  if (!isCustom(protocol)) {
    const detail = `\n${NAME} listeners[${index}].protocol: expected http, tls, tcp, or an object with a function readHead and perhaps a function refuse`
    throw new BatonError('BATON_CONFIG_INVALID', { detail })
  }
  protocols.set(String(name), protocol)
  return { ...listener, protocol: 'custom' }
}

function isCustom(protocol: unknown): protocol is CustomProtocol {
  if (!isObject(protocol)) return false
  const { readHead, refuse } = protocol
  return typeof readHead === 'function' && (refuse === undefined || typeof refuse === 'function')
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null
}
