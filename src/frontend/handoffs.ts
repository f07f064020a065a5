import { isBatonError } from '../errors/index.js'
import type { Giver, Settlement } from '../handoff/index.js'
import { clientText, type FlowKey } from '../kernel/flow.js'
import { atEndOfTurn } from '../kernel/turn.js'
import { discard, freeze, type Snapshot, thaw } from '../repair/index.js'
import type { Steering } from '../steering/index.js'
import type { FrontendMetrics, Logger } from '../telemetry/index.js'
import type { Connection, Given } from './connection.js'
import { encodeNotes } from './context.js'
import { headNotes, speaks } from './head.js'
import type { RelayReason } from './pool.js'
import type { Records } from './records.js'

/** Backends that are asked before a connection is relayed instead. */
const MAX_OFFERS = 2
/** When the flow table takes an update no more, it is tried again after this, in ms. */
const STEER_AGAIN_MS = 100

export interface HandoffsOptions {
  readonly giver: Giver<Given>
  readonly steering: Steering
  readonly budgetMs: number
  /** Where they are wanted, notes travel with the offer. */
  readonly records: Pick<Records, 'wanted'>
  readonly logger: Logger
  readonly metrics: FrontendMetrics
  /** The offer is under way: tell who must know. */
  onOffered(connection: Connection): void
  onAdopted(connection: Connection): void
  /** The connection is live here again: relay it. */
  onKept(connection: Connection, reason: RelayReason): void
  /** Its owner is unknown for good; the socket is live here: reset it. */
  onLost(connection: Connection): void
}

/**
 * The frontend's half of a handoff, many at a time: park → freeze → offer, then steer → discard, or thaw → unpark.
 * At every moment a connection here is either parked and frozen, or the flow table steers it away.
 */
export class Handoffs {
  readonly #options: HandoffsOptions
  readonly #phases
  /** Adopted in this turn: one update of the flow table steers them all. */
  #adopted: Connection[] = []
  /** Over already when their adoption was learnt. */
  #ended: FlowKey[] = []

  constructor(options: HandoffsOptions) {
    this.#options = options
    const { phases } = options.metrics
    this.#phases = {
      head: phases.child('head'),
      choose: phases.child('choose'),
      park: phases.child('park'),
      freeze: phases.child('freeze'),
      offer: phases.child('offer'),
      steer: phases.child('steer'),
      total: phases.child('total'),
    }
  }

  /** Takes live connections whose heads are unread, each with its backend chosen. */
  begin(connections: readonly Connection[]): void {
    const { giver, steering, logger } = this.#options
    const startedAtMs = performance.now()
    for (const connection of connections) connection.id = giver.nextId()
    try {
      steering.park(connections.map(parkEntry))
    } catch (error) {
      logger.error({ err: error, connections: connections.length }, 'the flow table takes no more: relaying')
      for (const connection of connections) this.#options.onKept(connection, 'steering_failed')
      return
    }
    const parkedAtMs = performance.now()
    this.#phases.park.observe((parkedAtMs - startedAtMs) / 1000 / connections.length)
    for (const connection of connections) this.#freezeAndOffer(connection)
  }

  #freezeAndOffer(connection: Connection): void {
    const startedAtMs = performance.now()
    let snapshot: Snapshot
    try {
      snapshot = freeze(connection.fd, connection.flow)
    } catch (error) {
      const { logger, steering, onKept } = this.#options
      logger.debug({ err: error, code: isBatonError(error) ? error.code : undefined }, 'not frozen: relaying')
      steering.unpark([connection.flow])
      onKept(connection, 'freeze_failed')
      return
    }
    const { head, choose, freeze: freezing } = this.#phases
    const doneAtMs = performance.now()
    head.observe((connection.headAtMs - connection.acceptedAtMs) / 1000)
    choose.observe((startedAtMs - connection.headAtMs) / 1000)
    freezing.observe((doneAtMs - startedAtMs) / 1000)
    this.#offer(connection, snapshot)
  }

  /** A connection that an agent gave back: parked and frozen already, its next head in the snapshot. */
  resume(connection: Connection, snapshot: Snapshot): void {
    this.#park(connection)
    this.#offer(connection, snapshot)
  }

  #park(connection: Connection): void {
    connection.id = this.#options.giver.nextId()
    this.#options.steering.park([parkEntry(connection)])
  }

  #offer(connection: Connection, snapshot: Snapshot): void {
    const { giver, budgetMs, records, onOffered } = this.#options
    const { backend, id, listener, claimed } = connection
    connection.snapshot = snapshot
    connection.offeredAtMs = performance.now()
    const pool = connection.pool.name
    const context = records.wanted ? notes(connection) : noNotes
    const error = giver.offer(
      backend.channel,
      { type: 'offer', id, budgetMs, listener, pool, claimed, snapshot, context },
      connection,
    )
    if (error !== undefined) {
      this.#elsewhere(connection, snapshot, error.code)
      return
    }
    backend.inFlight++
    onOffered(connection)
  }

  /** The giver's verdict; each offer gets exactly one. */
  settled(connection: Connection, settlement: Settlement): void {
    const { metrics, logger } = this.#options
    const { backend } = connection
    backend.inFlight--
    const { kind } = settlement
    this.#phases.offer.observe((performance.now() - connection.offeredAtMs) / 1000)
    switch (kind) {
      case 'adopted':
      case 'ended':
        this.#away(connection, kind === 'ended')
        return
      case 'refused':
        if (this.#isProven(connection)) {
          logger.warn(
            { backend: backend.id, code: settlement.code },
            'refused by an agent whose host had answered: over',
          )
          this.#away(connection, true)
          return
        }
        metrics.handoffs.inc('refused')
        metrics.refusals.inc(settlement.code)
        if (connection.snapshot !== undefined) {
          this.#elsewhere(connection, connection.snapshot, settlement.code)
        }
        return
      case 'lost':
        if (this.#isProven(connection)) {
          logger.warn(
            { backend: backend.id, reason: settlement.reason },
            'adopted, by the word of its client alone',
          )
          this.#away(connection, false)
          return
        }
        metrics.handoffs.inc('lost')
        logger.error({ backend: backend.id, reason: settlement.reason }, 'connection lost')
        this.#thaw(connection)
        this.#options.onLost(connection)
        return
      default:
        kind satisfies never
    }
  }

  /** Another host has it. @param over it has ended there already */
  #away(connection: Connection, over: boolean): void {
    this.#options.metrics.handoffs.inc('adopted')
    connection.backend.active++
    this.#adopted.push(connection)
    if (over) this.#ended.push(connection.flow)
    if (this.#adopted.length === 1) atEndOfTurn(() => this.flush())
  }

  /**
   * Whether the client has acknowledged what only the agent's host can have sent: then the steering program has opened the
   * flow, and the frozen socket here can serve nobody any more.
   */
  #isProven({ flow, id }: Connection): boolean {
    const entry = this.#options.steering.get(flow)
    return entry?.state === 'steer' && entry.id === id
  }

  /** Not this backend: the next one, or relay. The connection is parked and frozen here. */
  #elsewhere(connection: Connection, snapshot: Snapshot, code: string): void {
    const { backend, tried, pool, ipv4 } = connection
    this.#options.logger.info({ backend: backend.id, code }, 'offer refused')
    tried.push(backend)
    const next =
      tried.length < MAX_OFFERS ? pool.chooseForHandoff(ipv4, tried, speaks(connection.head)) : 'refused'
    if (typeof next === 'string') {
      this.#thaw(connection)
      this.#options.onKept(connection, next)
      return
    }
    connection.backend = next
    connection.nextHop = next.nextHop(ipv4) ?? ''
    this.#park(connection)
    this.#offer(connection, snapshot)
  }

  #thaw(connection: Connection): void {
    thaw(connection.fd, connection.snapshot)
    this.#options.steering.unpark([connection.flow])
    connection.snapshot = undefined
  }

  /**
   * Steers what was adopted in this turn, and only then lets go of the frozen sockets: see discard(). By itself at the
   * end of the turn; whoever ends flows calls it first, or an end would be overtaken by the beginning that it ends.
   */
  flush(): void {
    if (this.#adopted.length === 0) return
    const { steering, logger, onAdopted } = this.#options
    const adopted = this.#adopted
    const ended = this.#ended
    this.#adopted = []
    this.#ended = []
    const startedAtMs = performance.now()
    try {
      steering.steer(adopted.map(({ flow, id, nextHop }) => ({ key: flow, id, nextHop })))
      if (ended.length > 0) steering.linger(ended)
    } catch (error) {
      // They stay parked, and their packets wait: nothing is lost as long as it works in the end.
      logger.error({ err: error, connections: adopted.length }, 'adopted connections cannot be steered yet')
      setTimeout(() => {
        this.#adopted.push(...adopted)
        this.#ended.push(...ended)
        this.flush()
      }, STEER_AGAIN_MS)
      return
    }
    const doneAtMs = performance.now()
    this.#phases.steer.observe((doneAtMs - startedAtMs) / 1000 / adopted.length)
    for (const connection of adopted) {
      discard(connection.fd)
      connection.snapshot = undefined
      this.#phases.total.observe((doneAtMs - connection.headAtMs) / 1000)
      onAdopted(connection)
    }
  }
}

const noNotes = Buffer.alloc(0)

function notes(connection: Connection): Buffer {
  const { head, listener, claimed, route, pool, backend, clientFields } = connection
  const { acceptedAtMs, headAtMs, offeredAtMs } = connection
  return encodeNotes({
    acceptedAt: Math.round(performance.timeOrigin + acceptedAtMs),
    listener,
    client: claimed === null ? null : clientText(claimed),
    ...headNotes(head),
    route,
    pool: pool.name,
    backend: backend.id,
    headMs: headAtMs - acceptedAtMs,
    chooseMs: offeredAtMs - headAtMs,
    clientFields,
  })
}

function parkEntry({ flow, id, nextHop }: Connection) {
  return { key: flow, id, nextHop }
}
