import { Server } from 'node:net'
import { type AgentConfig, readAgentOptions } from '../config/index.js'
import { BatonError } from '../errors/index.js'

/** `10.0.0.11:7400` or `[fd00::11]:7400`. */
export type AddressText = string

/** To any HTTP server, by the agent's own proxy. */
export interface HttpDelivery {
  readonly kind: 'http'
  readonly address: AddressText
  /** Default 3000. */
  readonly connectTimeoutMs?: number
  /** Default 60000; 0 is no limit. */
  readonly responseTimeoutMs?: number
}

/** To any TCP server: bytes are piped. */
export interface TcpDelivery {
  readonly kind: 'tcp'
  readonly address: AddressText
  /** The header that each connection begins with, to say who the client is. Default off. */
  readonly proxyProtocol?: 'off' | 'v1' | 'v2'
  /** Default 3000. */
  readonly connectTimeoutMs?: number
}

/**
 * What createAgent() takes: the keys of agent.yaml, with the same defaults and the same strictness
 * (docs/configuration.md), and a server in place of `deliver`.
 */
export interface AgentOptions {
  /** Name of this backend; the same as its id at the frontends. */
  readonly id: string
  /** Pools that it serves. */
  readonly pools: readonly string[]
  /** Where frontends reach this agent, and how both prove who they are. Port 0: any free one. */
  readonly control:
    | { readonly address: AddressText; readonly tokenFile: string }
    | {
        readonly address: AddressText
        readonly tls: { readonly certFile: string; readonly keyFile: string; readonly caFile: string }
      }
  /** The addresses of the frontends' listeners. This host must have them on `lo`; see `hostSetup`. */
  readonly vips: readonly string[]
  /**
   * Gets the connections, in this process, by its 'connection' event: http, https, net or what is built on them. It
   * need not listen. With an http.Server each request is routed; Node enforces its headersTimeout and requestTimeout
   * only on a server that has listened once. Without `server`, `deliver` says where the application is.
   */
  readonly server?: Server
  /** Needed without `server`, refused beside it. */
  readonly deliver?:
    | HttpDelivery
    | TcpDelivery
    | {
        /** Into the accept queue of any program that listens there; later requests on the connection are its own. */
        readonly kind: 'adopt'
        readonly address: AddressText
        readonly session: 'connection'
        /** Serves what cannot be adopted. */
        readonly fallback?: HttpDelivery | TcpDelivery
      }
  /** Where frontends may relay to, announced in the registry. */
  readonly address?: AddressText
  /** 1–1000, default 1. */
  readonly weight?: number
  /** The interface on the frontends' segment. Default: found by the control address. */
  readonly interface?: string
  /** VIPs on `lo` and ARP settings: `apply` (default) puts in place what is missing, `check` warns, `off` does nothing. */
  readonly hostSetup?: 'apply' | 'check' | 'off'
  /** Offers taken at once: 1–65535, default 1024. */
  readonly capacity?: number
  readonly limits?: {
    /** Of the head of a request that follows. Default 16384. */
    readonly headBytes?: number
    /** Connections served at once. Default 0: no limit. */
    readonly maxConnections?: number
  }
  readonly timeouts?: {
    /** Default 60000; 0 is no limit. An inline http.Server has its own. */
    readonly keepAliveTimeoutMs?: number
    /** Default 10000. */
    readonly headTimeoutMs?: number
    /** Default 300000; 0 is no limit. An inline server has its own. */
    readonly idleTimeoutMs?: number
    /** Default 30000. */
    readonly drainTimeoutMs?: number
  }
  /** Default memory: nothing is announced. */
  readonly registry?:
    | { readonly kind: 'memory' }
    | { readonly kind: 'redis'; readonly url: string; readonly keyPrefix?: string }
    | { readonly kind: 'redis'; readonly urlFile: string; readonly keyPrefix?: string }
  /** /metrics, /healthz, /readyz, /v1/status. Default 127.0.0.1:9901. */
  readonly admin?: { readonly address: AddressText }
  readonly log?: {
    /** Default info. */
    readonly level?: 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent'
  }
}

/** Checks the options and fills in the defaults. @throws BatonError BATON_CONFIG_INVALID with every mistake */
export function agentConfig(options: AgentOptions): AgentConfig {
  const { server, ...file } = options ?? {}
  if (server === undefined) return readAgentOptions(file, NAME)
  if (!(server instanceof Server)) throw wrong('server: expected a net.Server; that of Fastify is app.server')
  if (file.deliver !== undefined) throw wrong('deliver: stands beside server, which gets the connections')
  return readAgentOptions({ ...file, deliver: { kind: 'inline' } }, NAME)
}

const NAME = 'createAgent()'

function wrong(problem: string): BatonError {
  return new BatonError('BATON_CONFIG_INVALID', { detail: `\n${NAME} ${problem}` })
}
