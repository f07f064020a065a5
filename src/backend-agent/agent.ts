import { readFileSync } from 'node:fs'
import type { Server } from 'node:net'
import { join } from 'node:path'
import type { AgentConfig } from '../config/index.js'
import { BatonError } from '../errors/index.js'
import type { Endpoint } from '../kernel/flow.js'
import { endpointText } from '../kernel/flow.js'
import { packageRoot } from '../kernel/native.js'
import { Announcer, createLogger, type Logger } from '../telemetry/index.js'
import { type AdminServer, startAdmin } from './admin.js'
import { Engine } from './engine.js'
import { type AgentEvents, adoptedConnection, closedConnection } from './events.js'
import { HostSetup } from './host-setup.js'
import { type AgentOptions, agentConfig } from './options.js'
import type { AgentState, AgentStatus } from './status.js'
import { findSegment, type Segment } from './steer-to.js'

/** Its bit, <linux/capability.h>. */
const CAP_NET_ADMIN = 12n

/**
 * A backend host's end of Baton: takes connections over from frontends and gives them to the application.
 *
 *     new ──start()──► starting ──► running ──close()──► draining ──► stopped
 *                                      └────────destroy()────────────►┘
 */
export class Agent extends Announcer<AgentEvents> {
  readonly #config: AgentConfig
  readonly #logger: Logger
  readonly #segment: Segment
  readonly #host: HostSetup
  readonly #engine: Engine
  readonly #startedAtMs = performance.now()
  #state: AgentState = 'new'
  #admin: AdminServer | undefined
  #control: Endpoint | undefined
  #closing: Promise<void> | undefined

  /** Use createAgent(). */
  constructor(config: AgentConfig, server: Server | undefined) {
    super()
    this.#config = config
    this.#logger = createLogger({ component: 'agent', id: config.id, level: config.log.level })
    const { address } = config.control
    const segment = findSegment(address, config.vips, config.interface)
    this.#segment = segment
    this.#host = new HostSetup({
      mode: config.hostSetup,
      vips: config.vips,
      interface: segment.interface,
      logger: this.#logger,
    })
    this.#engine = new Engine(config, server, segment, this.#logger, {
      adopted: (adoption) => this.tell('adopted', () => [adoptedConnection(adoption)]),
      closed: (frontendId, record) => this.tell('closed', () => [closedConnection(frontendId, record)]),
      frontend: (id, up) => this.tell('frontend', () => [{ id, up }]),
    })
  }

  get log(): Logger {
    return this.#logger
  }

  /** Where the control channel listens; undefined before start(). */
  get address(): Endpoint | undefined {
    return this.#control
  }

  /** Where the admin server listens; undefined before start(). */
  get adminAddress(): Endpoint | undefined {
    return this.#admin?.address
  }

  get state(): AgentState {
    return this.#state
  }

  /** The same as GET /v1/status. */
  get stats(): AgentStatus {
    return {
      role: 'agent',
      id: this.#config.id,
      version: packageVersion,
      state: this.#state,
      uptimeSeconds: (performance.now() - this.#startedAtMs) / 1000,
      pools: this.#config.pools,
      control: endpointText(this.#control ?? this.#config.control.address),
      ...this.#engine.status(),
    }
  }

  /**
   * Prepares the host, listens for frontends, announces this backend. Resolves when frontends can hand over.
   * @throws BatonError BATON_AGENT_DENIED, BATON_AGENT_HOST_SETUP, BATON_LISTEN, BATON_CONFIG_SECRET,
   * BATON_CHANNEL_AUTH, BATON_AGENT_STATE. Nothing is left behind then.
   */
  async start(): Promise<void> {
    if (this.#state !== 'new') throw new BatonError('BATON_AGENT_STATE')
    this.#become('starting')
    try {
      this.#mayRestore()
      await this.#host.apply()
      this.#admin = await startAdmin({
        address: this.#config.admin.address,
        metrics: this.#engine.metrics,
        status: () => this.stats,
      })
      this.#control = await this.#engine.start()
    } catch (error) {
      await this.destroy()
      throw error
    }
    this.#become('running')
    const { pools, deliver } = this.#config
    this.#logger.info(
      { control: endpointText(this.#control), pools, deliver: deliver.kind },
      'ready for connections',
    )
  }

  /**
   * Drains: takes nothing new, lets every answer that is on its way end and closes or gives back the connection after
   * it, waits for that as long as `timeouts.drainTimeoutMs`, and then ends what is left.
   */
  close(): Promise<void> {
    if (this.#state === 'stopped') return Promise.resolve()
    this.#closing ??= this.#drain()
    return this.#closing
  }

  /** Ends every connection and channel at once. Idempotent, also while close() is under way. */
  async destroy(): Promise<void> {
    if (this.#state === 'stopped') return
    this.#become('stopped')
    await this.#engine.destroy()
    await this.#tidy()
  }

  #become(state: AgentState): void {
    if (this.#state === state) return
    this.#state = state
    this.tell('state', () => [state])
  }

  /** Told at the start, not by the first connection that is lost. @throws BatonError */
  #mayRestore(): void {
    const { interface: wanted } = this.#config
    if (wanted !== undefined && this.#segment.interface !== wanted) {
      const detail = `interface: ${wanted} does not exist, is down or has no address`
      throw new BatonError('BATON_AGENT_HOST_SETUP', { detail })
    }
    const effective = /^CapEff:\t([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? ''
    if (!((BigInt(`0x${effective}`) >> CAP_NET_ADMIN) & 1n)) throw new BatonError('BATON_AGENT_DENIED')
  }

  async #drain(): Promise<void> {
    this.#become('draining')
    this.#logger.info({ active: this.#engine.active }, 'draining')
    const left = await this.#engine.drain(this.#config.timeouts.drainTimeoutMs)
    if (left > 0) this.#logger.warn({ left }, 'the time to drain is over: ending what is left')
    await this.destroy()
    this.#logger.info('stopped')
  }

  async #tidy(): Promise<void> {
    await this.#admin?.close()
    try {
      await this.#host.undo()
    } catch (error) {
      this.#logger.error({ err: error }, 'the host could not be put back as it was')
    }
  }
}

const manifest: unknown = JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8'))
const packageVersion =
  typeof manifest === 'object' && manifest !== null && 'version' in manifest ? String(manifest.version) : ''

/**
 * Makes a Node server reachable through Baton, or an agent for another application on this host.
 *
 * ```js
 * const agent = createAgent({ server, id: 'media-1', pools: ['media'], vips: ['10.0.0.100'],
 *   control: { address: '10.0.0.11:7400', tokenFile: '/etc/baton/token' } })
 * await agent.start()
 * process.once('SIGTERM', () => agent.close())
 * ```
 *
 * Needs CAP_NET_ADMIN. @throws BatonError BATON_CONFIG_INVALID with every mistake in the options
 */
export function createAgent(options: AgentOptions): Agent {
  return new Agent(agentConfig(options), options.server)
}

/** The agent of a checked agent.yaml. */
export function agentFromConfig(config: AgentConfig): Agent {
  return new Agent(config, undefined)
}
