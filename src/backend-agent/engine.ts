import type { Server } from 'node:net'
import { type AgentConfig, loadControlAuth } from '../config/index.js'
import { BatonError } from '../errors/index.js'
import { type Channel, type Closed, Giver, type Message, sinceFeature, Taker } from '../handoff/index.js'
import { type Endpoint, endpointText } from '../kernel/flow.js'
import { type Announcement, createRegistry, type Registry } from '../registry/index.js'
import { Relay } from '../relay/index.js'
import { AgentMetrics, type Logger } from '../telemetry/index.js'
import { leftAdoptions } from './adopt-programs.js'
import { AdoptTable } from './adopt-table.js'
import { Adoptions } from './adoptions.js'
import { chooseDelivery } from './choose-delivery.js'
import { answerClaim } from './claims.js'
import { Control } from './control.js'
import { AdoptDelivery } from './deliver-adopt.js'
import type { Delivery } from './delivery.js'
import { Frontends } from './frontends.js'
import type { Placement } from './interception.js'
import { openJournal } from './journal.js'
import { type Move, Moves } from './moves.js'
import type { Adoption, Served } from './served.js'
import { Sessions } from './sessions.js'
import type { AgentStatus } from './status.js'
import type { Segment } from './steer-to.js'

/** How long destroyed sockets may take to say so, in ms. */
const DESTROY_GRACE_MS = 1000

const own: Placement = { kind: 'own' }

/** Who is told what becomes of connections and channels. */
export interface EngineListeners {
  adopted(adoption: Adoption): void
  closed(frontendId: string, record: Closed): void
  frontend(id: string, up: boolean): void
}

/** The agent's parts, put together: what a frontend says, and what becomes of a connection. */
export class Engine {
  readonly metrics: AgentMetrics
  readonly #config: AgentConfig
  readonly #logger: Logger
  readonly #segment: Segment
  readonly #listeners: EngineListeners
  readonly #epoch = Date.now()
  readonly #registry: Registry
  readonly #frontends: Frontends
  readonly #relay: Relay
  readonly #sessions: Sessions
  readonly #delivery: Delivery | undefined
  #table: AdoptTable | undefined
  #adopting: AdoptDelivery | undefined
  readonly #adoptions: Adoptions
  readonly #moves: Moves
  readonly #giver: Giver<Move>
  #taker: Taker | undefined
  #journal: ReturnType<typeof openJournal>
  #control: Control | undefined
  #announcement: Announcement | undefined

  constructor(
    config: AgentConfig,
    server: Server | undefined,
    segment: Segment,
    logger: Logger,
    listeners: EngineListeners,
  ) {
    this.#listeners = listeners
    this.#config = config
    this.#logger = logger
    this.#segment = segment
    const pools = new Set(config.pools)
    this.metrics = new AgentMetrics({
      active: () => this.#adoptions.active,
      capacity: () => this.#load().capacity,
      channels: () =>
        this.#frontends.all().map(({ id, channel }) => ({
          peer: id,
          up: channel !== undefined,
          rttMs: channel?.rttMs ?? null,
        })),
      registry: () => this.#registry.status(),
    })
    this.#registry = createRegistry(config.registry, { logger, watch: false })
    this.#frontends = new Frontends(pools, logger)
    this.#relay = new Relay({ bodyTimeoutMs: config.timeouts.idleTimeoutMs })
    this.#sessions = new Sessions({
      limits: { headBytes: config.limits.headBytes, headTimeoutMs: config.timeouts.headTimeoutMs },
      relay: this.#relay,
      place: (served, host, path) => this.#place(served, host, path),
      isShared: (served) => this.#frontends.get(served.frontendId)?.routes?.hasOthers ?? false,
      move: (served, pool) => this.#moves.begin(served, pool),
      draining: () => !this.#adoptions.accepting,
      onAnswered: (status) =>
        this.metrics.requests.inc(status === 0 ? 'unknown' : `${Math.floor(status / 100)}xx`),
      onMisplaced: (outcome) => this.metrics.relayed.inc(outcome),
    })
    const { deliver } = config
    const through = deliver.kind === 'adopt' ? deliver.fallback : deliver
    this.#delivery = through && chooseDelivery(config, through, server, this.#sessions)
    this.#adoptions = new Adoptions({
      delivery: this.#delivery,
      adopting: () => this.#adopting,
      table: () => this.#table,
      pools,
      maxConnections: config.limits.maxConnections,
      metrics: this.metrics,
      logger,
      taker: () => this.#mustTake(),
      onAdopted: (adoption) => {
        this.#control?.changed()
        listeners.adopted(adoption)
      },
      onEnd: (served) => this.#onEnd(served, undefined),
    })
    this.#giver = new Giver<Move>({
      epoch: this.#epoch,
      onSettled: (move, settlement) => this.#moves.settled(move, settlement),
    })
    this.#moves = new Moves({
      giver: () => this.#giver,
      frontends: this.#frontends,
      metrics: this.metrics,
      logger,
      onGone: (served, cause) => {
        this.#adoptions.moved(served)
        this.#onEnd(served, cause)
      },
    })
  }

  get active(): number {
    return this.#adoptions.active
  }

  /** @returns where frontends reach it */
  async start(): Promise<Endpoint> {
    const { id, pools, control, address, weight } = this.#config
    this.#journal = openJournal(id, this.#epoch, this.#logger)
    this.#taker = new Taker({
      epoch: this.#epoch,
      capacity: this.#config.capacity,
      ...(this.#journal === undefined ? {} : { journal: this.#journal.journal }),
      onOffer: (taken) => this.#adoptions.take(taken),
    })
    this.#openAdopting(this.#taker)
    this.#control = new Control({
      id,
      epoch: this.#epoch,
      pools,
      features: this.#features(),
      steerTo: this.#segment.steerTo,
      address: control.address,
      auth: loadControlAuth(control),
      logger: this.#logger,
      load: () => this.#load(),
      onUp: (channel) => this.#onUp(channel),
      onMessage: (channel, message) => this.#onMessage(channel, message),
      onDrain: (channel) => this.#frontends.get(channel.peer.id)?.records.flush(),
      onDown: (channel) => this.#onDown(channel),
    })
    const bound = await this.#control.start()
    await this.#registry.start()
    this.#announcement = this.#registry.announce({
      id,
      pools,
      agent: bound,
      address: address ?? null,
      weight,
      draining: false,
      active: 0,
      epoch: this.#epoch,
    })
    return bound
  }

  /** Takes nothing new and waits for what is there. @returns how many connections are left after `timeoutMs` */
  async drain(timeoutMs: number): Promise<number> {
    this.#adoptions.stop()
    if (this.#taker !== undefined) this.#taker.accepting = false
    this.#control?.tell()
    for (const { session } of this.#adoptions.connections()) session?.onDrain()
    await this.#announcement?.withdraw()
    // An offer that crosses with the news must find somebody who answers it.
    await this.#control?.handled()
    const quiet = Promise.all([this.#adoptions.empty(), this.#adopting?.played()])
    await within(quiet, timeoutMs)
    return this.#adoptions.served
  }

  /** Ends everything. */
  async destroy(): Promise<void> {
    this.#adoptions.stop()
    // What was offered back and not answered is nobody's: its sockets close silently.
    this.#giver.destroy()
    for (const served of this.#adoptions.connections()) {
      served.endsBy('drain')
      // A FIN in the midst of an answer could pass for its end.
      if (served.session?.midAnswer === false) served.socket.destroy()
      else served.socket.resetAndDestroy()
    }
    await within(this.#adoptions.empty(), DESTROY_GRACE_MS)
    this.#sessions.destroy()
    await this.#control?.close()
    this.#adopting?.close()
    this.#table?.close()
    await this.#delivery?.close()
    await this.#relay.destroy(new BatonError('BATON_AGENT_DRAINING'))
    await this.#registry.close()
    this.#journal?.close()
  }

  status(): Omit<AgentStatus, 'role' | 'id' | 'version' | 'state' | 'uptimeSeconds' | 'pools' | 'control'> {
    const { metrics } = this
    const { deliver } = this.#config
    const fallback = deliver.kind === 'adopt' && this.#adopting === undefined ? deliver.fallback : undefined
    const serving = fallback ?? deliver
    return {
      deliver: serving.kind,
      application: serving.kind === 'inline' ? null : endpointText(serving.address),
      active: this.#adoptions.active,
      capacity: this.#load().capacity,
      channels: this.#frontends.all().map(({ id, channel, routes }) => ({
        frontend: id,
        up: channel !== undefined,
        rttMs: channel?.rttMs ?? null,
        routesVersion: routes?.version ?? null,
      })),
      adopted: metrics.adopted.child().value,
      refused: metrics.refused.totals(),
      fallback: metrics.fallback.totals(),
      closed: metrics.closed.totals(),
      returns: metrics.returns.totals(),
      misplaced: metrics.relayed.totals(),
      steerTo: this.#segment.steerTo,
      registry: this.#registry.status(),
    }
  }

  #mustTake(): Taker {
    if (this.#taker === undefined) throw new BatonError('BATON_AGENT_STATE')
    return this.#taker
  }

  #load() {
    const { capacity, limits } = this.#config
    const { active, accepting } = this.#adoptions
    const room = limits.maxConnections === 0 ? capacity : Math.max(0, limits.maxConnections - active)
    return { capacity: accepting ? Math.min(capacity, room) : 0, active, accepting }
  }

  #place(served: Served, host: string | null, path: string): Placement {
    return this.#frontends.get(served.frontendId)?.routes?.place(served.pool, host, path) ?? own
  }

  #onUp(channel: Channel): void {
    this.#frontends.up(channel)
    this.#mustTake().channelUp(channel)
    this.#giver.channelUp(channel)
    this.#listeners.frontend(channel.peer.id, true)
  }

  #onDown(channel: Channel): void {
    this.#mustTake().channelDown(channel)
    this.#giver.channelDown(channel)
    this.#moves.channelDown(channel)
    this.#frontends.down(channel)
    this.#listeners.frontend(channel.peer.id, false)
  }

  #onMessage(channel: Channel, message: Message): void {
    if (this.#mustTake().handle(channel, message) || this.#giver.handle(channel, message)) return
    if (message.type === 'routes') {
      const frontend = this.#frontends.get(channel.peer.id)
      if (frontend?.channel === channel) this.#onRoutes(frontend, message.json)
    } else if (message.type === 'parked') this.#moves.parked(channel, message)
    else if (message.type === 'claim' && this.#frontends.get(channel.peer.id)?.channel === channel) {
      channel.send(
        answerClaim(message, channel.peer.id, {
          find: (flow) => this.#adoptions.find(flow) ?? this.#table?.find(flow),
          tell: (frontendId, record) => this.#frontends.tell(frontendId, record),
        }),
      )
    }
  }

  #onRoutes(frontend: NonNullable<ReturnType<Frontends['get']>>, json: string): void {
    this.#frontends.setRoutes(frontend, json)
    this.#relay.keepOnly(new Set(this.#frontends.all().flatMap(({ routes }) => routes?.addresses ?? [])))
  }

  /** @throws BatonError BATON_ADOPT_* where that cannot work and nothing else is configured */
  #openAdopting(taker: Taker): void {
    const { deliver, id } = this.#config
    const logger = this.#logger
    if (deliver.kind !== 'adopt' && !leftAdoptions(id)) return
    try {
      this.#table = this.#openTable(id)
      for (const { notes, outcome } of this.#table.resume()) {
        taker.recall({ id: notes.frontendId, epoch: notes.giverEpoch }, notes.id, outcome)
      }
      if (deliver.kind === 'adopt') {
        const { address } = deliver
        this.#adopting = new AdoptDelivery({ id, address, table: this.#table, logger })
      } else this.#leaveEmptyTable()
    } catch (error) {
      this.#leaveEmptyTable()
      if (deliver.kind !== 'adopt')
        logger.warn({ err: error }, 'what was adopted before cannot be looked after')
      else if (deliver.fallback === undefined) throw error
      else
        logger.warn(
          { err: error, kind: deliver.fallback.kind },
          'adopt cannot work here: the fallback serves',
        )
    }
  }

  #openTable(id: string): AdoptTable {
    return new AdoptTable({
      id,
      epoch: this.#epoch,
      logger: this.#logger,
      onEnd: (frontendId, record, giver) => {
        this.#mustTake().over({ id: giver.frontendId, epoch: giver.giverEpoch }, giver.id)
        this.#report(frontendId, record)
      },
    })
  }

  /** Nothing is adopted here, and nothing was: no trace of it is left in the kernel. */
  #leaveEmptyTable(): void {
    if (this.#table === undefined || this.#table.active > 0) return
    this.#table.close()
    this.#table = undefined
  }

  #features(): string[] {
    const through = this.#delivery === undefined ? [] : featuresOf(this.#delivery)
    const since = this.#table === undefined ? [] : [sinceFeature(this.#table.since)]
    if (this.#adopting === undefined) return [...through, ...since]
    // What cannot be adopted goes to the fallback: it has to understand whatever comes, too.
    return ['adopt', ...(through.length === 0 ? ['bytes'] : through), ...since]
  }

  #onEnd(served: Served, cause: 'moved' | 'error' | undefined): void {
    this.#report(served.frontendId, served.closed(cause))
  }

  #report(frontendId: string, record: Closed): void {
    const { metrics } = this
    metrics.closed.inc(record.cause)
    metrics.bytes.child('in').value += record.bytesIn
    metrics.bytes.child('out').value += record.bytesOut
    this.#control?.changed()
    this.#frontends.tell(frontendId, record)
    this.#listeners.closed(frontendId, record)
  }
}

/** `bytes`: takes connections whatever they speak, TLS too. */
function featuresOf({ kind, parsesHttp = false }: Delivery): string[] {
  return parsesHttp ? [kind] : [kind, 'bytes']
}

/** Waits for `done`, but no longer than that. */
async function within(done: Promise<unknown>, timeoutMs: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, timeoutMs)
  })
  await Promise.race([done, late])
  clearTimeout(timer)
}
