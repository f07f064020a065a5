import { randomInt } from 'node:crypto'
import { release } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { type ControlAuth, type FrontendConfig, loadControlAuth, version } from '../config/index.js'
import type { BatonError } from '../errors/index.js'
import { Gate } from '../gate/index.js'
import { type Channel, dialAgent, Giver, type Hello, type Message } from '../handoff/index.js'
import { endpointText, type FlowKey, parseFlowKey } from '../kernel/flow.js'
import { configuredBackends, createRegistry, type Registry } from '../registry/index.js'
import { Relay, requestPlace } from '../relay/index.js'
import { thaw } from '../repair/index.js'
import { compileRoutes, type RoutesDocument, type RouteTable } from '../routing/index.js'
import { openSteering, type Steering } from '../steering/index.js'
import { AccessLog, createLogger, FrontendMetrics, type Logger } from '../telemetry/index.js'
import { Admin } from './admin.js'
import { closeQuietly, resetAndClose } from './answer.js'
import type { Backend } from './backend.js'
import { Backends } from './backends.js'
import type { Connection, Given } from './connection.js'
import { Dispatch } from './dispatch.js'
import { Handoffs } from './handoffs.js'
import { Ledger } from './ledger.js'
import { Pool, type RelayReason } from './pool.js'
import { Relaying } from './relaying.js'
import { RETURN_CAPACITY, Returns } from './returns.js'
import type { BackendStatus, FlowStatus, FrontendStatus } from './status.js'
import { Takeover } from './takeover.js'

/** How long /readyz waits for the configured agents after the start, in ms. */
const READY_GRACE_MS = 2000

/**
 * One frontend process: listeners, routes, flow table, and a channel to every agent.
 *
 * Start, in this order: registry and channels first, so that a connection finds backends; the flow table and what a
 * predecessor left parked; listeners last. Stop is the reverse: no new connections, what is under way finishes, then
 * channels; the flow table stays in the kernel and steers on.
 */
export class Frontend {
  readonly log: Logger
  readonly metrics: FrontendMetrics
  readonly #config: FrontendConfig
  readonly #auth: ControlAuth | undefined
  readonly #pools = new Map<string, Pool>()
  readonly #routesDocument: RoutesDocument
  readonly #routes: RouteTable
  readonly #registry: Registry
  readonly #accessLog: AccessLog
  readonly #gate: Gate
  readonly #giver: Giver<Given>
  readonly #backends: Backends
  readonly #relaying: Relaying
  readonly #dispatch: Dispatch
  readonly #admin: Admin
  readonly #epoch = randomInt(1, 2 ** 48 - 1)
  readonly #startedAt = new Date()
  #steering: Steering | undefined
  #handoffs: Handoffs | undefined
  #returns: Returns | undefined
  #ledger: Ledger | undefined
  #takeover: Takeover | undefined
  #routesSent = ''
  readonly #unreachableFor = new Map<string, string>()
  #phase: 'new' | 'starting' | 'open' | 'closing' | 'closed' = 'new'

  /** @throws BatonError BATON_CONFIG_SECRET when token or certificates cannot be read */
  constructor(config: FrontendConfig) {
    this.#config = config
    this.log = createLogger({ component: 'frontend', id: config.id, level: config.log.level })
    this.#auth = config.control === undefined ? undefined : loadControlAuth(config.control)
    for (const [name, pool] of config.pools) this.#pools.set(name, new Pool(name, pool))
    this.#routesDocument = { version: 1, routes: config.routes }
    this.#routes = compileRoutes(this.#routesDocument)
    this.#registry = createRegistry(config.registry, {
      backends: configuredBackends(config.pools),
      logger: this.log.child({ part: 'registry' }),
    })
    this.#accessLog = new AccessLog({
      destination: config.log.accessLog,
      format: config.log.accessLogFormat,
      onTrouble: (error) =>
        this.log.warn({ err: error }, error ? 'the access log loses lines' : 'the access log works again'),
    })
    this.metrics = this.#createMetrics()
    this.#giver = new Giver<Given>({
      epoch: this.#epoch,
      unknownTimeoutMs: config.handoff.unknownTimeoutMs,
      onSettled: (given, settlement) => {
        if (given.kind === 'left') given.settled(settlement)
        else this.#handoffs?.settled(given, settlement)
      },
      onLate: (_given, late) => this.log.warn({ ...late }, 'answer to an offer that was given up'),
      onContradiction: (late) => this.log.error({ ...late }, 'an agent contradicts itself'),
    })
    this.#backends = this.#createBackends()
    this.#gate = new Gate({
      limits: config.limits,
      onArrivals: (arrivals) => this.#dispatch.arrivals(arrivals),
      onRejected: (rejected) => this.#dispatch.rejected(rejected),
      onGone: (gone) => {
        for (const { fd } of gone) closeQuietly(fd)
      },
    })
    this.#relaying = this.#createRelaying()
    this.#dispatch = new Dispatch({
      routes: () => this.#routes,
      pool: (name) => this.#pool(name),
      handOff: (connections) => this.#handoffs?.begin(connections),
      relay: (fd, listener, flow, reason) => this.#relay(fd, listener, flow, reason),
      refused: (refusal) => this.#ledger?.refused(refusal),
      release: (flow) => this.#gate.release(flow),
      stopping: () => this.#phase !== 'open' || this.#handoffs === undefined,
    })
    this.#admin = new Admin({
      address: config.admin.address,
      metrics: async () => ({ text: await this.metrics.text(), contentType: this.metrics.contentType }),
      status: () => this.status(),
      flows: (limit) => this.#flows(limit),
      unready: () => this.#unready(),
      reopenLogs: () => this.#accessLog.reopen(),
    })
  }

  /**
   * Resolves when the listeners accept. @throws BatonError of steering, gate or registry: then nothing is left behind
   * but what a predecessor had pinned
   */
  async start(): Promise<void> {
    if (this.#phase !== 'new') return
    this.#phase = 'starting'
    const { listeners, admin } = this.#config
    await this.#registry.start()
    this.#openSteering()
    this.#registry.onBackends((records) => this.#backends.update(records))
    this.#backends.update(this.#registry.backends())
    try {
      for (const { name, address, backlog } of listeners) {
        const at = this.#gate.listen({ name, ...address, backlog })
        this.log.info({ listener: name, address: endpointText(at) }, 'listening')
      }
      await this.#admin.listen()
    } catch (error) {
      this.destroy()
      throw error
    }
    this.#phase = 'open'
    this.log.info({ admin: endpointText(admin.address) }, 'ready')
  }

  #openSteering(): void {
    const { steering } = this.#config
    if (steering === undefined || this.#auth === undefined) {
      this.#ledger = this.#createLedger(undefined)
      return
    }
    const open = openSteering({ ...steering, logger: this.log.child({ part: 'steering' }) })
    this.#steering = open
    this.#ledger = this.#createLedger(open)
    this.#handoffs = new Handoffs({
      giver: this.#giver,
      steering: open,
      budgetMs: this.#config.handoff.budgetMs,
      logger: this.log.child({ part: 'handoff' }),
      onOffered: (connection) => this.#noteFlow(connection),
      onAdopted: (connection) => this.#gate.release(connection.flow),
      onKept: (connection, reason) =>
        this.#relay(connection.fd, connection.listener, connection.flow, reason),
      onLost: (connection) => {
        this.#gate.release(connection.flow)
        this.#registry.removeFlows([connection.flow])
        resetAndClose(connection.fd)
      },
      metrics: this.metrics,
    })
    this.#returns = new Returns({
      steering: open,
      epoch: this.#epoch,
      metrics: this.metrics,
      maxHeadBytes: this.#config.limits.headBytes,
      logger: this.log.child({ part: 'return' }),
      routes: () => this.#routes,
      pool: (name) => this.#pool(name),
      resume: (connection, snapshot) => this.#handoffs?.resume(connection, snapshot),
      keep: (fd, flow, listener, reason) => {
        thaw(fd)
        open.unpark([flow])
        this.#relay(fd, listener, flow, reason)
      },
      stopping: () => this.#phase !== 'open',
    })
    this.#takeover = new Takeover({
      steering: open,
      giver: this.#giver,
      logger: this.log,
      patienceMs: this.#config.handoff.unknownTimeoutMs,
    })
  }

  /** Written while the offer is under way: a frontend that gets the flow's packets later can look it up. */
  #noteFlow({ flow, backend, id }: Connection): void {
    this.#registry.putFlows([
      {
        key: flow,
        agentId: backend.id,
        agentEpoch: backend.epoch ?? 0,
        frontendId: this.#config.id,
        handoffId: id,
      },
    ])
  }

  #createLedger(steering: Steering | undefined): Ledger {
    return new Ledger({
      frontend: this.#config.id,
      accessLog: this.#accessLog,
      metrics: this.metrics,
      registry: this.#registry,
      steering,
    })
  }

  #createBackends(): Backends {
    const log = this.log.child({ part: 'channel' })
    return new Backends({
      pools: this.#pools,
      dial: (address, events) => {
        if (this.#auth === undefined) return undefined
        return dialAgent({ address, auth: this.#auth, hello: () => this.#hello(), ...events })
      },
      onUp: (backend, channel) => {
        log.info(
          { backend: backend.id, epoch: channel.peer.epoch, kernel: channel.peer.kernel },
          'agent is there',
        )
        this.#unreachableFor.delete(backend.id)
        this.#sendRoutes(channel)
        this.#giver.channelUp(channel)
        this.#returns?.channelUp(channel)
        this.#takeover?.channelUp(backend)
      },
      onDown: (backend, error, channel) => {
        if (channel === undefined) {
          this.#unreachable(backend, error)
          return
        }
        log.warn({ backend: backend.id, code: error.code, reason: error.message }, 'agent is away')
        this.#giver.channelDown(channel)
        this.#returns?.channelDown(backend, channel)
      },
      onChange: () => this.#backendsChanged(),
      onMessage: (backend, channel, message) => this.#message(backend, channel, message),
      onNewEpoch: (backend, before) => this.#lingerAll(backend, before),
    })
  }

  /** The agent's old process ended, and its sockets with it: its host answers for them with RST from now on. */
  #lingerAll(backend: Backend, before: Backend['steerTo']): void {
    const hops = [before.ipv4, before.ipv6].filter((hop) => hop !== null)
    const flows = hops.reduce((sum, hop) => sum + (this.#steering?.lingerAll(hop) ?? 0), 0)
    if (flows > 0)
      this.log.warn({ backend: backend.id, flows }, 'the agent was restarted: its connections are over')
  }

  #message(backend: Backend, channel: Channel, message: Message): void {
    switch (message.type) {
      case 'adopted':
      case 'refused':
      case 'outcome':
        this.#giver.handle(channel, message)
        return
      case 'closed':
        this.#ledger?.closed(message)
        return
      case 'park':
        this.#returns?.park(backend, channel, message)
        return
      case 'unpark':
        this.#returns?.unpark(message)
        return
      case 'offer':
      case 'ask':
        this.#returns?.handle(channel, message)
        return
      default:
        this.log.debug({ backend: backend.id, type: message.type }, 'message ignored')
    }
  }

  /** Said once for each new reason: it is dialled again and again. */
  #unreachable(backend: Backend, error: BatonError): void {
    if (this.#unreachableFor.get(backend.id) === error.code) return
    this.#unreachableFor.set(backend.id, error.code)
    this.log.warn({ backend: backend.id, code: error.code, reason: error.message }, 'agent cannot be reached')
  }

  /** Agents judge the next requests of their connections by the routes and by where other pools can be relayed to. */
  #backendsChanged(): void {
    const json = this.#routesJson()
    if (json === this.#routesSent) return
    this.#routesSent = json
    for (const { channel } of this.#backends.all()) this.#sendRoutes(channel)
  }

  #sendRoutes(channel: Channel | undefined): void {
    channel?.send({ type: 'routes', version: this.#routesDocument.version, json: this.#routesSent })
  }

  #hello(): Hello {
    return {
      type: 'hello',
      minVersion: 1,
      maxVersion: 1,
      role: 'frontend',
      id: this.#config.id,
      epoch: this.#epoch,
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
    for (const [name, pool] of this.#pools) {
      const addresses = pool.backends.flatMap(({ relayAddress }) =>
        relayAddress === null ? [] : [endpointText(relayAddress)],
      )
      pools[name] = { addresses }
    }
    return JSON.stringify({ ...this.#routesDocument, pools })
  }

  #createRelaying(): Relaying {
    const { timeouts, limits } = this.#config
    const { connectTimeoutMs, responseTimeoutMs, idleTimeoutMs } = timeouts
    return new Relaying({
      relay: new Relay({ connectTimeoutMs, responseTimeoutMs, bodyTimeoutMs: idleTimeoutMs }),
      findRoute: (host, path) => {
        const hit = this.#routes.match(host, path)
        return hit === undefined ? undefined : { route: hit.index, pool: this.#pool(hit.pool) }
      },
      readPlace: requestPlace,
      onRequest: (done) => this.#ledger?.relayed(done),
      headersTimeoutMs: limits.headTimeoutMs,
      keepAliveTimeoutMs: idleTimeoutMs,
      maxHeadBytes: limits.headBytes,
    })
  }

  #relay(fd: number, listener: string, flow: FlowKey, reason: RelayReason): void {
    this.metrics.relayed.inc(reason)
    this.#relaying.take(fd, { listener, reason, release: () => this.#gate.release(flow) })
  }

  /** The configuration's check has seen to it that every route's pool is there. */
  #pool(name: string): Pool {
    const pool = this.#pools.get(name)
    if (pool === undefined) throw new RangeError(`there is no pool ${name}`)
    return pool
  }

  #createMetrics(): FrontendMetrics {
    return new FrontendMetrics({
      flows: () => this.#flowStates(),
      steered: () => {
        const stats = this.#steering?.stats()
        return { packets: stats?.steeredPackets ?? 0, bytes: stats?.steeredBytes ?? 0 }
      },
      parked: () => {
        const stats = this.#steering?.stats()
        return { frames: stats?.playedFrames ?? 0, dropped: stats?.parkedDropped ?? 0 }
      },
      channels: () =>
        [...this.#backends.all()]
          .filter((backend) => backend.link !== undefined)
          .map(({ id, channel }) => ({ peer: id, up: channel !== undefined, rttMs: channel?.rttMs ?? null })),
      offersInFlight: () => this.#giver.inFlight,
      connections: () => ({ pending: this.#gate.stats.pending, relayed: this.#relaying.size }),
      registry: () => this.#registry.status(),
    })
  }

  #flowStates(): Record<string, number> {
    const stats = this.#steering?.stats()
    if (stats === undefined) return {}
    return { live: stats.flows - stats.lingering, linger: stats.lingering }
  }

  #flows(limit: number): FlowStatus[] {
    const found: FlowStatus[] = []
    for (const [key, { state, id, nextHop, packets, bytes }] of this.#steering?.entries() ?? []) {
      if (found.length >= limit) break
      const { client, vip } = parseFlowKey(key)
      const ends = { client: endpointText(client), vip: endpointText(vip) }
      found.push({ ...ends, state, handoffId: id, nextHop, packets, bytes })
    }
    return found
  }

  /** What GET /v1/status answers. */
  status(): FrontendStatus {
    const { handoffs, returned, relayed, rejected } = this.metrics
    const settled = handoffs.totals()
    return {
      role: 'frontend',
      id: this.#config.id,
      version,
      startedAt: this.#startedAt.toISOString(),
      uptimeSeconds: (Date.now() - this.#startedAt.getTime()) / 1000,
      listeners: this.#config.listeners.map(({ name, address, protocol }) => ({
        name,
        address: endpointText(address),
        protocol,
      })),
      connections: { accepted: this.#gate.stats.accepted, relayedNow: this.#relaying.size },
      handoffs: {
        adopted: settled.adopted ?? 0,
        refused: settled.refused ?? 0,
        lost: settled.lost ?? 0,
        inFlight: this.#giver.inFlight,
        returned: returned.totals().taken ?? 0,
      },
      relays: relayed.totals(),
      rejected: rejected.totals(),
      flows: this.#flowStates(),
      backends: [...this.#backends.all()].map(backendStatus),
      registry: this.#registry.status(),
    }
  }

  /** Ready as soon as each agent was reached once or has had its time: a dead backend must not keep a frontend down. */
  #unready(): string | undefined {
    if (this.#phase !== 'open') return this.#phase
    if (Date.now() - this.#startedAt.getTime() > READY_GRACE_MS) return undefined
    const missing = [...this.#backends.all()].filter(
      ({ link, channel }) => link !== undefined && channel === undefined,
    )
    return missing.length === 0 ? undefined : `waiting for agents: ${missing.map(({ id }) => id).join(', ')}`
  }

  /** Stops accepting, lets heads, handoffs and relayed requests finish within drainTimeoutMs, then lets go. Idempotent. */
  async close(): Promise<void> {
    if (this.#phase === 'closing' || this.#phase === 'closed') return
    const wasOpen = this.#phase === 'open'
    this.#phase = 'closing'
    if (!wasOpen) {
      this.destroy()
      return
    }
    const deadline = setTimeout(() => {
      this.log.warn({ relayed: this.#relaying.size }, 'drain timeout: cutting what is left')
      this.destroy()
    }, this.#config.timeouts.drainTimeoutMs)
    await this.#gate.close()
    await this.#relaying.close()
    while (this.#giver.inFlight > 0) await sleep(10)
    clearTimeout(deadline)
    await this.#backends.close()
    await this.#letGo()
  }

  /** Cuts what this process holds: pending heads, handoffs without an answer, relayed connections. Idempotent. */
  destroy(): void {
    if (this.#phase === 'closed') return
    this.#gate.destroy()
    this.#giver.destroy()
    this.#relaying.destroy()
    this.#backends.destroy()
    void this.#letGo()
  }

  /** The flow table stays in the kernel and steers on. */
  async #letGo(): Promise<void> {
    if (this.#phase === 'closed') return
    this.#phase = 'closed'
    this.#takeover?.close()
    this.#returns?.close()
    this.#steering?.close()
    await Promise.all([this.#registry.close(), this.#admin.close(), this.#accessLog.close()])
    this.log.info('stopped')
  }
}

function backendStatus(backend: Backend): BackendStatus {
  const { id, record, active, inFlight, relayed, channel, unavailable } = backend
  return {
    id,
    pools: record.pools,
    agent: record.agent === null ? null : endpointText(record.agent),
    address: record.address === null ? null : endpointText(record.address),
    weight: record.weight,
    state: unavailable === undefined ? 'up' : states[unavailable],
    active,
    inFlight,
    relayed,
    rttMs: channel?.rttMs ?? null,
  }
}

const states = {
  no_agent: 'relay',
  agent_down: 'down',
  agent_draining: 'draining',
  agent_full: 'full',
} as const

/** @throws BatonError BATON_CONFIG_SECRET */
export function createFrontend(config: FrontendConfig): Frontend {
  return new Frontend(config)
}
