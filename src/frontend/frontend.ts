import { randomInt } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { type ControlAuth, type FrontendConfig, loadControlAuth } from '../config/index.js'
import { BatonError } from '../errors/index.js'
import { Gate } from '../gate/index.js'
import { Giver } from '../handoff/index.js'
import { type Endpoint, endpointText } from '../kernel/flow.js'
import { configuredBackends, createRegistry, type Registry } from '../registry/index.js'
import { thaw } from '../repair/index.js'
import type { Steering } from '../steering/index.js'
import { Announcer, createLogger, type Logger } from '../telemetry/index.js'
import { Admin } from './admin.js'
import { Agents } from './agents.js'
import { closeQuietly, resetAndClose } from './answer.js'
import { Audit } from './audit.js'
import { readClientFields } from './client-fields.js'
import type { Connection, Given } from './connection.js'
import { Dispatch } from './dispatch.js'
import type { FrontendEvents } from './events.js'
import { Failover } from './failover.js'
import { flowNote, liveNotes } from './flow-notes.js'
import { openFlowTable } from './flow-table.js'
import { Handoffs } from './handoffs.js'
import type { WholeHead } from './head.js'
import { HeadRoutes } from './head-routes.js'
import { Ledger } from './ledger.js'
import { Listeners } from './listeners.js'
import { Pool } from './pool.js'
import type { CustomProtocol } from './protocol.js'
import { Records } from './records.js'
import { Relays } from './relays.js'
import { Report } from './report.js'
import { Returns } from './returns.js'
import type { FrontendState, FrontendStatus } from './status.js'
import { Takeover } from './takeover.js'

/**
 * One frontend process: listeners, routes, flow table, and a channel to every agent.
 *
 *     new ──start()──► starting ──► running ──close()──► draining ──► stopped
 *                                      └────────destroy()────────────►┘
 *
 * Start, in this order: registry and channels first, so that a connection finds backends; the flow table and what a
 * predecessor left parked; listeners last. Stop is the reverse: no new connections, what is under way finishes, then
 * channels; the flow table stays in the kernel and steers on.
 */
export class Frontend extends Announcer<FrontendEvents> {
  readonly log: Logger
  readonly #config: FrontendConfig
  readonly #auth: ControlAuth | undefined
  readonly #pools = new Map<string, Pool>()
  readonly #routes: HeadRoutes
  readonly #listeners: Listeners
  readonly #registry: Registry
  readonly #records: Records
  readonly #gate: Gate<WholeHead>
  readonly #giver: Giver<Given>
  readonly #agents: Agents
  readonly #report: Report
  readonly #relays: Relays
  readonly #dispatch: Dispatch
  readonly #admin: Admin
  readonly #epoch = randomInt(1, 2 ** 48 - 1)
  #steering: Steering | undefined
  #handoffs: Handoffs | undefined
  #returns: Returns | undefined
  #ledger: Ledger | undefined
  #takeover: Takeover | undefined
  #failover: Failover | undefined
  #audit: Audit | undefined
  #closing: Promise<void> | undefined
  #gone: Promise<void> | undefined
  #state: FrontendState = 'new'

  /**
   * Use createFrontend().
   * @param protocols by the names of the listeners that are `custom`
   * @throws BatonError BATON_CONFIG_SECRET when token or certificates cannot be read, BATON_ACCESS_LOG
   */
  constructor(config: FrontendConfig, protocols: ReadonlyMap<string, CustomProtocol>) {
    super()
    this.#config = config
    this.log = createLogger({ component: 'frontend', id: config.id, level: config.log.level })
    this.#auth = config.control === undefined ? undefined : loadControlAuth(config.control)
    for (const [name, pool] of config.pools) this.#pools.set(name, new Pool(name, pool))
    const document = { version: 1, routes: config.routes }
    this.#routes = new HeadRoutes(document)
    this.#listeners = new Listeners(config.listeners, protocols, this.log)
    const { refusals } = this.#listeners
    this.#registry = createRegistry(config.registry, {
      backends: configuredBackends(config.pools),
      logger: this.log.child({ part: 'registry' }),
    })
    this.#records = new Records(config.log, this.log, {
      listening: () => this.hears('access'),
      tell: (record) => this.tell('access', () => [record]),
    })
    this.#report = new Report(() => ({
      config,
      gate: this.#gate,
      giver: this.#giver,
      backends: this.#agents.backends,
      relayed: () => this.#relays.size,
      registry: this.#registry,
      steering: () => this.#steering,
      failover: () => this.#failover,
    }))
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
    this.#agents = new Agents({
      id: config.id,
      epoch: this.#epoch,
      auth: this.#auth,
      pools: this.#pools,
      routes: document,
      giver: this.#giver,
      logger: this.log.child({ part: 'channel' }),
      onAgent: (id, up) => this.tell('agent', () => [{ id, up }]),
    })
    this.#gate = new Gate<WholeHead>({
      limits: config.limits,
      onArrivals: (arrivals) => this.#dispatch.arrivals(arrivals),
      onRejected: (rejected) => this.#dispatch.rejected(rejected),
      onGone: (gone) => {
        for (const { fd } of gone) closeQuietly(fd)
      },
    })
    this.#relays = new Relays({
      config,
      metrics: this.#report.metrics,
      logger: this.log.child({ part: 'relay' }),
      findRoute: (host, path) => {
        const hit = this.#routes.requests.match(host, path)
        return hit === undefined ? undefined : { route: hit.index, pool: this.#pool(hit.pool) }
      },
      release: (flow) => this.#gate.release(flow),
      onEnd: (done) => this.#ledger?.relayed(done),
      unanswered: ({ listener, head }) => refusals.answer(listener, 'BATON_NO_BACKEND', 503, head).bytes,
    })
    this.#dispatch = new Dispatch({
      route: (head, listener) => this.#routes.match(head, listener),
      pool: (name) => this.#pool(name),
      refusals,
      clientFields: config.log.accessLogFormat === 'json' ? undefined : readClientFields,
      handOff: (connections) => this.#handOff(connections),
      relay: (fd, relayed, reason) => this.#relays.relay(fd, relayed, reason),
      splice: (fd, spliced) => this.#relays.splice(fd, spliced),
      refused: (refusal) => this.#ledger?.refused(refusal),
      routed: (listener, pool) => this.#report.metrics.requests.inc(listener, pool),
      release: (flow) => this.#gate.release(flow),
      stopping: () => this.#state !== 'running',
    })
    this.#admin = new Admin({
      address: config.admin.address,
      metrics: () => this.#report.prometheus(),
      status: () => this.#report.status(),
      flows: (limit) => this.#report.flows(limit),
      unready: () => (this.#state === 'running' ? this.#report.waitingFor() : this.#state),
      reopenLogs: () => this.reopenLogs(),
    })
  }

  /**
   * Resolves when the listeners accept, or when close() or destroy() came meanwhile.
   * @throws BatonError of steering, gate or registry (then nothing is left behind but what a predecessor had pinned);
   * BATON_FRONTEND_STATE when it was started before
   */
  async start(): Promise<void> {
    if (this.#state !== 'new') throw new BatonError('BATON_FRONTEND_STATE')
    this.#become('starting')
    try {
      await this.#registry.start()
      if (!this.#isStarting()) return
      this.#openSteering()
      this.#registry.onBackends((records) => this.#agents.backends.update(records))
      this.#agents.backends.update(this.#registry.backends())
      this.#listeners.open(this.#gate)
      await this.#admin.listen()
    } catch (error) {
      // What a predecessor steers goes on; a table that steers nobody is taken out of the kernel again.
      if (this.#steering?.stats().flows === 0) this.#steering.detach()
      await this.destroy()
      throw error
    }
    if (!this.#isStarting()) return
    this.#become('running')
    this.log.info({ admin: endpointText(this.#admin.address) }, 'ready')
  }

  get state(): FrontendState {
    return this.#state
  }

  /** Where each listener listens, by name; empty before start(). */
  get addresses(): ReadonlyMap<string, Endpoint> {
    return this.#listeners.bound
  }

  /** Where the admin server listens; before start() as configured. */
  get adminAddress(): Endpoint {
    return this.#admin.address
  }

  /** The same as GET /v1/status. */
  get stats(): FrontendStatus {
    return this.#report.status()
  }

  #become(state: FrontendState): void {
    if (this.#state === state) return
    this.#state = state
    this.tell('state', () => [state])
  }

  /** False once close() or destroy() came while it waited. */
  #isStarting(): boolean {
    return this.#state === 'starting'
  }

  #openSteering(): void {
    const { steering } = this.#config
    if (steering === undefined || this.#auth === undefined) {
      this.#ledger = this.#createLedger(undefined)
      this.#agents.listen({ ledger: this.#ledger })
      return
    }
    const logger = this.log.child({ part: 'steering' })
    const open = openFlowTable(this.#config, steering, logger, (key) => this.#failover?.ask(key))
    this.#steering = open
    this.#failover = this.#createFailover(open)
    this.#audit = this.#createAudit(open, steering.idleMs)
    this.#registry.renewFlowsFrom(() => liveNotes(open, this.#agents.backends, this.#config.id))
    this.#ledger = this.#createLedger(open)
    this.#handoffs = new Handoffs({
      giver: this.#giver,
      steering: open,
      budgetMs: this.#config.handoff.budgetMs,
      records: this.#records,
      logger: this.log.child({ part: 'handoff' }),
      // While the offer is under way: a frontend that gets the flow's packets later can look it up.
      onOffered: (connection) => this.#registry.putFlows([flowNote(connection, this.#config.id)]),
      onAdopted: (connection) => this.#gate.release(connection.flow),
      onKept: (connection, reason) => this.#relays.keep(connection, reason),
      onLost: (connection) => {
        this.#gate.release(connection.flow)
        this.#registry.removeFlows([connection.flow])
        resetAndClose(connection.fd)
      },
      metrics: this.#report.metrics,
    })
    this.#returns = new Returns({
      steering: open,
      epoch: this.#epoch,
      metrics: this.#report.metrics,
      maxHeadBytes: this.#config.limits.headBytes,
      logger: this.log.child({ part: 'return' }),
      routes: () => this.#routes.requests,
      pool: (name) => this.#pool(name),
      resume: (connection, snapshot) => this.#handoffs?.resume(connection, snapshot),
      keep: (fd, { snapshot, listener, claimed }, reason) => {
        thaw(fd, snapshot)
        open.unpark([snapshot.flow])
        this.#relays.relay(fd, { listener, flow: snapshot.flow, claimed }, reason)
      },
      stopping: () => this.#state !== 'running',
    })
    this.#takeover = new Takeover({
      steering: open,
      giver: this.#giver,
      logger: this.log,
      patienceMs: this.#config.handoff.unknownTimeoutMs,
    })
    this.#agents.listen({
      ledger: this.#ledger,
      steering: open,
      returns: this.#returns,
      takeover: this.#takeover,
      failover: this.#failover,
      audit: this.#audit,
    })
  }

  #createAudit(steering: Steering, idleMs: number): Audit {
    return new Audit({
      steering,
      idleMs,
      backendsAt: (nextHop) => this.#agents.backends.at(nextHop),
      onOver: (keys) => {
        this.#registry.removeFlows(keys)
        this.#report.metrics.lostEnds.child().value += keys.length
      },
      logger: this.log.child({ part: 'audit' }),
    })
  }

  #createFailover(steering: Steering): Failover {
    return new Failover({
      steering,
      findFlow: (key) => this.#registry.findFlow(key),
      connected: () => this.#registry.status().connected,
      backend: (id) => this.#agents.backends.get(id),
      onResult: (result) => this.#report.metrics.failovers.inc(result),
      logger: this.log.child({ part: 'failover' }),
    })
  }

  #createLedger(steering: Steering | undefined): Ledger {
    return new Ledger({
      frontend: this.#config.id,
      metrics: this.#report.metrics,
      registry: this.#registry,
      steering,
      records: this.#records,
      beforeLinger: () => this.#handoffs?.flush(),
    })
  }

  #handOff(connections: readonly Connection[]): void {
    if (this.#handoffs !== undefined) {
      this.#handoffs.begin(connections)
      return
    }
    // Nothing is steered here, whatever agents there are.
    for (const connection of connections) this.#relays.keep(connection, 'pool_policy')
  }

  /** The configuration's check has seen to it that every route's pool is there. */
  #pool(name: string): Pool {
    const pool = this.#pools.get(name)
    if (pool === undefined) throw new RangeError(`there is no pool ${name}`)
    return pool
  }

  /** Stops accepting, lets heads, handoffs and relayed requests finish within drainTimeoutMs, then lets go. Idempotent. */
  async close(): Promise<void> {
    if (this.#state === 'stopped') return this.#gone
    this.#closing ??= this.#drain()
    return this.#closing
  }

  async #drain(): Promise<void> {
    const wasRunning = this.#state === 'running'
    this.#become('draining')
    if (!wasRunning) return this.destroy()
    const deadline = setTimeout(() => {
      this.log.warn({ relayed: this.#relays.size }, 'drain timeout: cutting what is left')
      void this.destroy()
    }, this.#config.timeouts.drainTimeoutMs)
    await Promise.all([this.#gate.close(), this.#relays.close()])
    while (this.#giver.inFlight > 0) await sleep(10)
    // What the last heads and refusals brought.
    await this.#relays.close()
    clearTimeout(deadline)
    await this.#agents.backends.close()
    await this.#letGo()
  }

  /** Cuts what this process holds: pending heads, handoffs without an answer, relayed connections. Idempotent. */
  destroy(): Promise<void> {
    if (this.#state !== 'stopped') {
      this.#gate.destroy()
      this.#giver.destroy()
      this.#relays.destroy()
      this.#agents.backends.destroy()
    }
    return this.#letGo()
  }

  /** Opens the access log by its name again, after it was moved away. */
  reopenLogs(): void {
    this.#records.reopen()
  }

  #letGo(): Promise<void> {
    this.#become('stopped')
    this.#gone ??= this.#closeParts()
    return this.#gone
  }

  /** The flow table stays in the kernel and steers on. */
  async #closeParts(): Promise<void> {
    // The access log's last lines.
    await this.#relays.close()
    this.#takeover?.close()
    this.#returns?.close()
    this.#failover?.close()
    this.#audit?.close()
    this.#steering?.close()
    await Promise.all([this.#registry.close(), this.#admin.close(), this.#records.close()])
    this.log.info('stopped')
  }
}
