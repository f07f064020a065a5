import { isBatonError } from '../errors/index.js'
import type { Giver, Settled } from '../handoff/index.js'
import type { FlowKey } from '../kernel/flow.js'
import { discard, freeze, type Snapshot, thaw } from '../repair/index.js'
import type { Steering } from '../steering/index.js'
import type { Logger } from '../telemetry/index.js'
import type { Connection } from './connection.js'
import { encodeNotes } from './context.js'
import type { RelayReason } from './pool.js'

/** Backends that are asked before a connection is relayed instead. */
const MAX_OFFERS = 2

export interface HandoffsOptions {
  readonly giver: Giver<Connection>
  readonly steering: Steering
  readonly budgetMs: number
  readonly logger: Logger
  /** The flow is on its way to the backend: tell who must know. */
  onOffered(connection: Connection): void
  onAdopted(connection: Connection): void
  /** The connection is live here again: relay it. */
  onKept(connection: Connection, reason: RelayReason): void
  /** Nobody can go on with it; the socket is live here, its owner unknown: reset it. */
  onLost(connection: Connection): void
  observe(phase: 'park' | 'freeze' | 'offer' | 'adopted' | 'steer', ms: number): void
}

/**
 * The frontend's half of a handoff, many at a time: park → freeze → offer, then steer → discard, or thaw → unpark.
 * At every moment a connection here is either parked and frozen, or the flow table steers it away.
 */
export class Handoffs {
  readonly #options: HandoffsOptions
  /** Adopted in this tick: one update of the flow table steers them all. */
  #adopted: Connection[] = []
  #flushPlanned = false
  readonly counts = { adopted: 0, refused: 0, lost: 0, inFlight: 0 }

  constructor(options: HandoffsOptions) {
    this.#options = options
  }

  /** Takes live connections whose heads are unread, each with its backend chosen. */
  begin(connections: readonly Connection[]): void {
    const { giver, steering, logger, observe } = this.#options
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
    observe('park', (parkedAtMs - startedAtMs) / connections.length)
    const alive: FlowKey[] = []
    for (const connection of connections) {
      let snapshot: Snapshot
      connection.frozenAtMs = performance.now()
      try {
        snapshot = freeze(connection.fd, connection.flow)
      } catch (error) {
        alive.push(connection.flow)
        const code = isBatonError(error) ? error.code : String(error)
        logger.debug({ err: error, code }, 'not frozen: relaying')
        this.#keepAfterUnpark(connection, 'freeze_failed')
        continue
      }
      connection.offeredAtMs = performance.now()
      observe('freeze', connection.offeredAtMs - connection.frozenAtMs)
      this.#offer(connection, snapshot)
    }
    if (alive.length > 0) steering.unpark(alive)
  }

  /** A connection that an agent gave back: parked and frozen already, its next head in the snapshot. */
  resume(connection: Connection, snapshot: Snapshot): void {
    connection.id = this.#options.giver.nextId()
    this.#options.steering.park([parkEntry(connection)])
    connection.offeredAtMs = performance.now()
    this.#offer(connection, snapshot)
  }

  /** A connection that is parked and frozen, and has nowhere to go: it lives on here. */
  keep(connection: Connection, reason: RelayReason): void {
    this.#thaw(connection)
    this.#options.onKept(connection, reason)
  }

  #keepAfterUnpark(connection: Connection, reason: RelayReason): void {
    // The relay reads in a later tick, when the flow is unparked.
    this.#options.onKept(connection, reason)
  }

  #offer(connection: Connection, snapshot: Snapshot): void {
    const { giver, budgetMs } = this.#options
    const { backend, head } = connection
    connection.snapshot = snapshot
    backend.inFlight++
    this.counts.inFlight++
    const context = encodeNotes({
      acceptedAt: Math.round(performance.timeOrigin + connection.acceptedAtMs),
      listener: connection.listener,
      method: head.method,
      path: head.path,
      host: head.host,
      route: connection.route,
      pool: connection.pool.name,
      backend: backend.id,
      headMs: connection.headAtMs - connection.acceptedAtMs,
      chooseMs: connection.offeredAtMs - connection.headAtMs,
    })
    giver.offer(
      backend.id,
      backend.channel,
      {
        type: 'offer',
        id: connection.id,
        budgetMs,
        listener: connection.listener,
        pool: connection.pool.name,
        snapshot,
        context,
      },
      connection,
    )
    this.#options.onOffered(connection)
  }

  /** The giver's verdict; each offer gets exactly one. */
  settled(settled: Settled<Connection>): void {
    const connection = settled.tag
    connection.backend.inFlight--
    this.counts.inFlight--
    this.#options.observe('adopted', performance.now() - connection.offeredAtMs)
    switch (settled.outcome) {
      case 'adopted':
      case 'ended':
        this.counts.adopted++
        this.#adopted.push(connection)
        this.#planFlush()
        return
      case 'refused':
        this.counts.refused++
        this.#refused(connection, settled.code)
        return
      case 'lost':
        this.counts.lost++
        this.#thaw(connection)
        this.#options.onLost(connection)
        return
      default:
        settled.outcome satisfies never
    }
  }

  #refused(connection: Connection, code: string): void {
    const { logger, steering } = this.#options
    logger.info({ backend: connection.backend.id, code }, 'offer refused')
    connection.tried.push(connection.backend)
    const next =
      connection.tried.length < MAX_OFFERS
        ? connection.pool.chooseForHandoff(connection.ipv4, connection.tried)
        : ('refused' as const)
    const snapshot = connection.snapshot
    if (typeof next === 'string' || snapshot === undefined) {
      this.keep(connection, 'refused')
      return
    }
    connection.backend = next
    connection.nextHop = next.nextHop(connection.ipv4) ?? ''
    connection.id = this.#options.giver.nextId()
    steering.park([parkEntry(connection)])
    connection.offeredAtMs = performance.now()
    this.#offer(connection, snapshot)
  }

  #thaw(connection: Connection): void {
    thaw(connection.fd)
    this.#options.steering.unpark([connection.flow])
  }

  #planFlush(): void {
    if (this.#flushPlanned) return
    this.#flushPlanned = true
    queueMicrotask(() => this.#flush())
  }

  /** Steers what was adopted in this tick, then lets go of the frozen sockets. The order is the point: see discard(). */
  #flush(): void {
    this.#flushPlanned = false
    const adopted = this.#adopted
    this.#adopted = []
    const startedAtMs = performance.now()
    this.#options.steering.steer(
      adopted.map((connection) => ({
        key: connection.flow,
        id: connection.id,
        nextHop: connection.nextHop,
      })),
    )
    this.#options.observe('steer', (performance.now() - startedAtMs) / adopted.length)
    for (const connection of adopted) {
      discard(connection.fd)
      connection.snapshot = undefined
      this.#options.onAdopted(connection)
    }
  }
}

function parkEntry(connection: Connection) {
  return { key: connection.flow, id: connection.id, nextHop: connection.nextHop }
}
