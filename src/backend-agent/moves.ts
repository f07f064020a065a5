import { isBatonError } from '../errors/index.js'
import type { Channel, Giver, Parked, Settlement } from '../handoff/index.js'
import { freeze, type Snapshot, thaw } from '../repair/index.js'
import type { AgentMetrics, Logger } from '../telemetry/index.js'
import type { Frontends } from './frontends.js'
import type { Served } from './served.js'

/** How long a frontend may take to park a flow, in ms. */
const PARK_TIMEOUT_MS = 1000
/** How long it may take to answer the offer before it is asked, in ms. */
const BUDGET_MS = 1000

export interface MovesOptions {
  readonly giver: () => Giver<Move>
  readonly frontends: Frontends
  readonly metrics: AgentMetrics
  readonly logger: Logger
  /** The connection lives elsewhere, or nobody knows where: `error`. */
  onGone(served: Served, cause: 'moved' | 'error'): void
}

/** A connection on its way back to its frontend. */
export interface Move {
  readonly id: number
  readonly served: Served
  readonly channel: Channel
  readonly pool: string
  timer: NodeJS.Timeout | undefined
  /** Once frozen. */
  snapshot: Snapshot | undefined
}

const noContext = Buffer.alloc(0)

/**
 * Gives connections back whose next request belongs elsewhere: PARK → PARKED → freeze → OFFER, to the frontend that
 * steers them here. Whatever fails on the way leaves the connection here, and its request is relayed.
 */
export class Moves {
  readonly #options: MovesOptions
  /** PARK sent, no answer yet. */
  readonly #parking = new Map<number, Move>()

  constructor(options: MovesOptions) {
    this.#options = options
  }

  begin(served: Served, pool: string): void {
    const channel = this.#options.frontends.get(served.frontendId)?.channel
    if (channel === undefined || !channel.writable || channel.capacity === 0) {
      this.#stay(served)
      return
    }
    const id = this.#options.giver().nextId()
    const move: Move = { id, served, channel, pool, timer: undefined, snapshot: undefined }
    move.timer = setTimeout(() => this.#unparked(move), PARK_TIMEOUT_MS)
    this.#parking.set(id, move)
    channel.send({ type: 'park', id, flow: served.flow })
  }

  parked(channel: Channel, { id, ok }: Parked): void {
    const move = this.#parking.get(id)
    if (move === undefined || move.channel !== channel) {
      // It came after our patience was over: UNPARK has been sent.
      return
    }
    this.#parking.delete(id)
    clearTimeout(move.timer)
    if (!ok) {
      this.#stay(move.served)
      return
    }
    const snapshot = this.#freeze(move)
    if (snapshot === undefined) return
    const error = this.#options.giver().offer(
      channel,
      {
        type: 'offer',
        id,
        budgetMs: BUDGET_MS,
        listener: move.served.listener,
        pool: move.pool,
        claimed: move.served.claimed,
        snapshot,
        context: noContext,
      },
      move,
    )
    if (error !== undefined) this.#thaw(move, error.code)
  }

  /** The channel is gone: its frontend parks nothing for us any more. */
  channelDown(channel: Channel): void {
    for (const move of [...this.#parking.values()]) if (move.channel === channel) this.#unparked(move)
  }

  settled(move: Move, settlement: Settlement): void {
    const { metrics, logger, onGone } = this.#options
    const { served } = move
    switch (settlement.kind) {
      case 'adopted':
      case 'ended':
        metrics.returns.inc('moved')
        onGone(served, 'moved')
        served.session?.leave()
        return
      case 'refused':
        this.#thaw(move, settlement.code)
        return
      case 'lost':
        // Perhaps somebody else owns it: closing the frozen socket without a word is all that cannot do harm.
        logger.error({ handoff: move.id, reason: settlement.reason }, 'a connection was lost on its way back')
        metrics.returns.inc('failed')
        onGone(served, 'error')
        served.session?.leave()
        return
      default:
        settlement satisfies never
    }
  }

  #freeze(move: Move): Snapshot | undefined {
    const { served } = move
    const { session } = served
    if (session === undefined || !session.movable) {
      this.#unpark(move)
      // Otherwise the connection has ended meanwhile.
      if (session?.state === 'moving') this.#stay(served)
      return undefined
    }
    try {
      const snapshot = freeze(served.socket.fd, served.flow)
      session.freeze()
      move.snapshot = snapshot
      return snapshot
    } catch (error) {
      this.#unpark(move)
      this.#options.logger.debug({ err: error }, 'not frozen: the request is relayed')
      if (!isBatonError(error)) throw error
      this.#stay(served)
      return undefined
    }
  }

  /** The frontend took it not: it is live here again, and then its packets come here again. */
  #thaw(move: Move, code: string): void {
    this.#options.logger.info(
      { handoff: move.id, code },
      'a connection was not taken back: relaying its request',
    )
    thaw(move.served.socket.fd, move.snapshot)
    move.snapshot = undefined
    this.#unpark(move)
    this.#stay(move.served)
  }

  /** No PARKED in time, or never. */
  #unparked(move: Move): void {
    this.#parking.delete(move.id)
    clearTimeout(move.timer)
    this.#unpark(move)
    this.#stay(move.served)
  }

  #unpark(move: Move): void {
    move.channel.send({ type: 'unpark', id: move.id, flow: move.served.flow })
  }

  #stay(served: Served): void {
    this.#options.metrics.returns.inc('kept')
    served.session?.stay()
  }
}
