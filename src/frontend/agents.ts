import { release } from 'node:os'
import type { ControlAuth } from '../config/index.js'
import type { BatonError } from '../errors/index.js'
import { type Channel, dialAgent, type Giver, type Hello, type Message } from '../handoff/index.js'
import { endpointText } from '../kernel/flow.js'
import type { RoutesDocument } from '../routing/index.js'
import type { Steering } from '../steering/index.js'
import type { Logger } from '../telemetry/index.js'
import type { Audit } from './audit.js'
import type { Backend } from './backend.js'
import { Backends } from './backends.js'
import type { Given } from './connection.js'
import type { Failover } from './failover.js'
import type { Ledger } from './ledger.js'
import type { Pool } from './pool.js'
import { RETURN_CAPACITY, type Returns } from './returns.js'
import type { Takeover } from './takeover.js'

/** Who is told what an agent says; there from the start of the frontend on. */
export interface AgentListeners {
  readonly ledger: Ledger
  readonly steering?: Steering | undefined
  readonly returns?: Returns | undefined
  readonly takeover?: Takeover | undefined
  readonly failover?: Failover | undefined
  readonly audit?: Audit | undefined
}

export interface AgentsOptions {
  readonly id: string
  readonly epoch: number
  /** Undefined: no agent is dialled, and all is relayed. */
  readonly auth: ControlAuth | undefined
  readonly pools: ReadonlyMap<string, Pool>
  readonly routes: RoutesDocument
  readonly giver: Giver<Given>
  readonly logger: Logger
  /** Its channel is up, or lost. */
  onAgent(id: string, up: boolean): void
}

/** The frontend's conversation with its agents: a channel to each, and every message to whom it concerns. */
export class Agents {
  readonly backends: Backends
  readonly #options: AgentsOptions
  #listeners: AgentListeners | undefined
  #routesSent = ''
  readonly #unreachableFor = new Map<string, string>()

  constructor(options: AgentsOptions) {
    this.#options = options
    this.backends = this.#createBackends()
  }

  /** Before the first backend is known. */
  listen(listeners: AgentListeners): void {
    this.#listeners = listeners
  }

  #createBackends(): Backends {
    const log = this.#options.logger
    return new Backends({
      pools: this.#options.pools,
      dial: (address, events) => {
        const { auth } = this.#options
        if (auth === undefined) return undefined
        return dialAgent({ address, auth, hello: () => this.#hello(), ...events })
      },
      onUp: (backend, channel) => {
        log.info(
          { backend: backend.id, epoch: channel.peer.epoch, kernel: channel.peer.kernel },
          'agent is there',
        )
        this.#unreachableFor.delete(backend.id)
        this.#sendRoutes(channel)
        this.#options.giver.channelUp(channel)
        this.#listeners?.returns?.channelUp(channel)
        this.#listeners?.takeover?.channelUp(backend)
        this.#listeners?.failover?.channelUp(backend.id)
        this.#options.onAgent(backend.id, true)
      },
      onDown: (backend, error, channel) => {
        if (channel === undefined) {
          this.#unreachable(backend, error)
          return
        }
        log.warn({ backend: backend.id, code: error.code, reason: error.message }, 'agent is away')
        this.#options.giver.channelDown(channel)
        this.#listeners?.returns?.channelDown(backend, channel)
        this.#listeners?.failover?.channelDown(backend.id)
        this.#options.onAgent(backend.id, false)
      },
      onChange: () => this.#backendsChanged(),
      onMessage: (backend, channel, message) => this.#message(backend, channel, message),
      onForgotten: (backend, before) => this.#lingerAll(backend, before),
    })
  }

  /** The agent's old process ended, and its sockets with it: its host answers for them with RST from now on. */
  #lingerAll(backend: Backend, before: Backend['steerTo']): void {
    const hops = [before.ipv4, before.ipv6].filter((hop) => hop !== null)
    const flows = hops.reduce((sum, hop) => sum + (this.#listeners?.steering?.lingerAll(hop) ?? 0), 0)
    if (flows > 0)
      this.#options.logger.warn(
        { backend: backend.id, flows },
        'the agent was restarted: its connections are over',
      )
  }

  #message(backend: Backend, channel: Channel, message: Message): void {
    switch (message.type) {
      case 'adopted':
      case 'refused':
      case 'outcome':
        this.#options.giver.handle(channel, message)
        return
      case 'closed':
        // Told a second time after a broken channel; the next CAPACITY puts that right.
        backend.active = Math.max(0, backend.active - 1)
        this.#listeners?.ledger.closed(message)
        return
      case 'park':
        this.#listeners?.returns?.park(backend, channel, message)
        return
      case 'unpark':
        this.#listeners?.returns?.unpark(message)
        return
      case 'claimed':
        if (!this.#listeners?.audit?.claimed(backend.id, message))
          this.#listeners?.failover?.claimed(backend.id, message)
        return
      case 'offer':
      case 'ask':
        this.#listeners?.returns?.handle(channel, message)
        return
      default:
        this.#options.logger.debug({ backend: backend.id, type: message.type }, 'message ignored')
    }
  }

  /** Said once for each new reason: it is dialled again and again. */
  #unreachable(backend: Backend, error: BatonError): void {
    if (this.#unreachableFor.get(backend.id) === error.code) return
    this.#unreachableFor.set(backend.id, error.code)
    this.#options.logger.warn(
      { backend: backend.id, code: error.code, reason: error.message },
      'agent cannot be reached',
    )
  }

  /** Agents judge the next requests of their connections by the routes and by where other pools can be relayed to. */
  #backendsChanged(): void {
    const json = this.#routesJson()
    if (json === this.#routesSent) return
    this.#routesSent = json
    for (const { channel } of this.backends.all()) this.#sendRoutes(channel)
  }

  #sendRoutes(channel: Channel | undefined): void {
    channel?.send({ type: 'routes', version: this.#options.routes.version, json: this.#routesSent })
  }

  #hello(): Hello {
    return {
      type: 'hello',
      minVersion: 1,
      maxVersion: 1,
      role: 'frontend',
      id: this.#options.id,
      epoch: this.#options.epoch,
      steerTo: { ipv4: null, ipv6: null },
      pools: [],
      capacity: RETURN_CAPACITY,
      kernel: release(),
      features: [],
    }
  }

  /** Routes, and where an agent may relay a request that it must not answer itself. */
  #routesJson(): string {
    const pools: Record<string, { addresses: string[] }> = {}
    for (const [name, pool] of this.#options.pools) {
      const addresses = pool.backends.flatMap(({ relayAddress }) =>
        relayAddress === null ? [] : [endpointText(relayAddress)],
      )
      pools[name] = { addresses }
    }
    return JSON.stringify({ ...this.#options.routes, pools })
  }
}
