import { BatonError, isBatonError } from '../errors/index.js'
import type { Channel } from './channel.js'
import {
  type Entry,
  type GiversTaker,
  lateAnswer,
  outcomeEvents,
  refusal,
  SettledEntries,
} from './giver-entry.js'
import { type GiverEvent, stepGiver } from './giver-step.js'
import { HandoffIds } from './handoff-id.js'
import { InFlight } from './in-flight.js'
import type { HandoffId, Message, Offer } from './messages.js'
import type { GiverCounters, LateAnswer, Settlement } from './settlement.js'

export interface GiverOptions<T> {
  /** This process's epoch, as in its HELLO. */
  readonly epoch: number
  /** How long an offer stays `unknown` without any answer before it is `lost`, in ms. Default 10,000. */
  readonly unknownTimeoutMs?: number
  /** Time between two ASKs about one offer, in ms. Default 250. */
  readonly askEveryMs?: number
  /** Never called from within {@link Giver.offer}. */
  onSettled(tag: T, settlement: Settlement, id: HandoffId): void
  /** The taker answered after `lost`: its `adopted` means that the connection lived on there. */
  onLate?(tag: T, late: LateAnswer): void
  /** The taker said the opposite of what it had said. */
  onContradiction?(late: LateAnswer): void
}

/** How often what is unknown is looked at, and what was settled and may be answered late. */
const SWEEP_MS = 50
const SETTLED_SWEEP_MS = 1000
const UNKNOWN_AGE = 0xffff_ffff

/**
 * The giving side of any number of handoffs to any number of takers. Every offer is settled exactly once; while it is
 * not, the connection belongs to nobody here. One coarse timer serves all.
 */
export class Giver<T> {
  readonly #options: GiverOptions<T>
  readonly #unknownTimeoutMs: number
  readonly #askEveryMs: number
  readonly #ids = new HandoffIds()
  readonly #takers = new Map<string, GiversTaker>()
  readonly #inFlight = new InFlight<Entry<T>>()
  readonly #settled = new SettledEntries<T>()
  readonly #counters = {
    offered: 0,
    adopted: 0,
    refused: 0,
    ended: 0,
    lost: 0,
    unknown: 0,
    asks: 0,
    late: 0,
    contradictions: 0,
    stray: 0,
  }
  #timer: NodeJS.Timeout | undefined
  /** When it fires, by performance.now(). */
  #sweepAt = Number.POSITIVE_INFINITY

  constructor(options: GiverOptions<T>) {
    this.#options = options
    this.#unknownTimeoutMs = options.unknownTimeoutMs ?? 10_000
    this.#askEveryMs = options.askEveryMs ?? 250
  }

  nextId(): HandoffId {
    return this.#ids.next()
  }

  /** Offers without a settlement. */
  get inFlight(): number {
    return this.#inFlight.size
  }

  get counters(): GiverCounters {
    return this.#counters
  }

  /** Offers in flight to one agent. */
  inFlightTo(agentId: string): number {
    return this.#takers.get(agentId)?.inFlight ?? 0
  }

  /** A channel to an agent is open: offers to that agent whose fate is unknown are asked about on it. */
  channelUp(channel: Channel): void {
    const taker = this.#taker(channel.peer.id)
    taker.channel = channel
    const now = performance.now()
    for (const entry of this.#inFlight.values()) {
      if (entry.taker === taker && entry.state === 'unknown') this.#step(entry, 'askTime', now)
    }
  }

  /** It ended: what did not leave on it is refused, what did is unknown. */
  channelDown(channel: Channel): void {
    const taker = this.#taker(channel.peer.id)
    if (taker.channel === channel) taker.channel = undefined
    const now = performance.now()
    for (const entry of this.#inFlight.values()) {
      if (entry.channel !== channel) continue
      if (entry.state === 'offered' && entry.sequence > channel.handedOver) {
        this.#step(entry, 'notSent', now, refusal('BATON_HANDOFF_NOT_SENT'))
      } else this.#step(entry, 'channelLost', now)
    }
  }

  /**
   * Gives a frozen connection away. Returns undefined when the offer is under way: {@link GiverOptions.onSettled}
   * follows. Returns an error (BATON_HANDOFF_NOT_SENT, _BUSY, BATON_FRAME_VALUE) when it never left: the connection is
   * still the caller's, and nothing follows.
   */
  offer(channel: Channel | undefined, offer: Offer, tag: T): BatonError | undefined {
    if (channel === undefined || !channel.writable) return new BatonError('BATON_HANDOFF_NOT_SENT')
    const taker = this.#taker(channel.peer.id)
    if (taker.inFlight >= channel.capacity) return new BatonError('BATON_HANDOFF_BUSY', { detail: taker.id })
    if (this.#inFlight.get(offer.id) !== undefined) {
      throw new BatonError('BATON_HANDOFF_TRANSITION', { detail: `Offer ${offer.id} is in flight already.` })
    }
    try {
      if (!channel.send(offer)) return new BatonError('BATON_HANDOFF_NOT_SENT')
    } catch (error) {
      if (isBatonError(error, 'BATON_FRAME_VALUE')) return error
      throw error
    }
    taker.channel ??= channel
    const now = performance.now()
    this.#add({
      id: offer.id,
      tag,
      taker,
      giverEpoch: this.#options.epoch,
      takerEpoch: channel.peer.epoch,
      channel,
      sequence: channel.sent,
      state: stepGiver('frozen', 'sent').state,
      sentAt: now,
      deadlineAt: now + offer.budgetMs,
      askedAt: 0,
      heardAt: now,
    })
    this.#counters.offered++
    return undefined
  }

  /**
   * Takes over a handoff that an earlier process of this id had under way: asks the agent about it and settles it like
   * any other. The frozen socket died with that process, so `refused` means: nobody has it.
   */
  inherit(agentId: string, id: HandoffId, tag: T): void {
    const now = performance.now()
    const taker = this.#taker(agentId)
    const entry: Entry<T> = {
      id,
      tag,
      taker,
      giverEpoch: 0,
      takerEpoch: 0,
      channel: undefined,
      sequence: 0,
      state: 'unknown',
      sentAt: now,
      deadlineAt: now,
      askedAt: 0,
      heardAt: now,
    }
    this.#add(entry)
    this.#counters.unknown++
    this.#step(entry, 'askTime', now)
  }

  /** Takes ADOPTED, REFUSED and OUTCOME; false for other messages. A peer that breaks the rules loses its channel. */
  handle(channel: Channel, message: Message): boolean {
    switch (message.type) {
      case 'adopted':
        this.#answer(channel, message.id, 'adopted', undefined)
        return true
      case 'refused':
        this.#answer(channel, message.id, 'refused', message)
        return true
      case 'outcome':
        this.#answer(channel, message.id, outcomeEvents[message.outcome], undefined)
        return true
      default:
        return false
    }
  }

  /** Settles what is left as lost and stops. To be called when no channel will come again. */
  destroy(): void {
    const now = performance.now()
    for (const entry of this.#inFlight.values()) {
      if (entry.state === 'offered') this.#step(entry, 'channelLost', now)
      this.#step(entry, 'gaveUp', now)
    }
    this.#settled.clear()
    this.#disarm()
  }

  #taker(id: string): GiversTaker {
    let taker = this.#takers.get(id)
    if (taker === undefined) {
      taker = { id, channel: undefined, inFlight: 0 }
      this.#takers.set(id, taker)
    }
    return taker
  }

  #add(entry: Entry<T>): void {
    this.#inFlight.add(entry)
    entry.taker.inFlight++
    this.#arm(entry.deadlineAt)
  }

  /** One timer serves all; it is left to fire where nothing is under way any more, or each handoff would make one. */
  #arm(dueAt: number): void {
    if (dueAt >= this.#sweepAt) return
    this.#disarm()
    this.#sweepAt = dueAt
    this.#timer = setTimeout(() => this.#sweep(), Math.max(1, Math.ceil(dueAt - performance.now()))).unref()
  }

  #disarm(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#sweepAt = Number.POSITIVE_INFINITY
  }

  #answer(
    channel: Channel,
    id: HandoffId,
    event: GiverEvent,
    refused: { code: string; message: string } | undefined,
  ) {
    const entry = this.#inFlight.get(id) ?? this.#settled.get(id)
    if (entry === undefined) {
      this.#counters.stray++
      return
    }
    try {
      if (entry.taker.id !== channel.peer.id) {
        throw new BatonError('BATON_HANDOFF_TRANSITION', {
          detail: `${channel.peer.id} answered for ${entry.taker.id}.`,
        })
      }
      this.#step(entry, event, performance.now(), refused)
    } catch (error) {
      if (!isBatonError(error, 'BATON_HANDOFF_TRANSITION')) throw error
      channel.destroy(error)
    }
  }

  #step(entry: Entry<T>, event: GiverEvent, now: number, refused?: { code: string; message: string }): void {
    const before = entry.state
    const step = stepGiver(before, event)
    entry.state = step.state
    if (step.state === 'unknown') {
      if (before !== 'unknown') {
        this.#counters.unknown++
        entry.heardAt = now
        this.#arm(now + SWEEP_MS)
      } else if (event === 'outcomePending') entry.heardAt = now
    }
    for (const effect of step.effects) {
      switch (effect) {
        case 'ask':
          this.#ask(entry, now)
          break
        case 'settle':
          this.#settle(entry, event, now, refused)
          break
        case 'late':
          this.#counters.late++
          this.#options.onLate?.(entry.tag as T, lateAnswer(entry, event))
          break
        case 'contradiction':
          this.#counters.contradictions++
          this.#options.onContradiction?.(lateAnswer(entry, event))
          break
        case 'offer':
          throw new BatonError('BATON_HANDOFF_TRANSITION', { detail: 'An offer is not sent twice.' })
        default:
          effect satisfies never
      }
    }
  }

  #ask(entry: Entry<T>, now: number): void {
    const ageMs =
      entry.takerEpoch === 0 ? UNKNOWN_AGE : Math.min(Math.ceil(now - entry.sentAt), UNKNOWN_AGE - 1)
    const { id, giverEpoch, takerEpoch } = entry
    if (entry.taker.channel?.send({ type: 'ask', id, giverEpoch, takerEpoch, ageMs })) {
      entry.askedAt = now
      this.#counters.asks++
    }
  }

  #settle(
    entry: Entry<T>,
    event: GiverEvent,
    now: number,
    refused: { code: string; message: string } | undefined,
  ): void {
    this.#inFlight.delete(entry.id)
    entry.taker.inFlight--
    const { state } = entry
    const tag = entry.tag as T
    switch (state) {
      case 'adopted':
        this.#counters.adopted++
        this.#options.onSettled(tag, { kind: 'adopted' }, entry.id)
        return
      case 'refused': {
        this.#counters.refused++
        const { code, message } = refused ?? refusal('BATON_HANDOFF_NEVER_SEEN')
        entry.tag = undefined
        this.#keepSettled(entry, now)
        this.#options.onSettled(tag, { kind: 'refused', code, message }, entry.id)
        return
      }
      case 'ended':
        this.#counters.ended++
        this.#options.onSettled(tag, { kind: 'ended' }, entry.id)
        return
      case 'lost': {
        this.#counters.lost++
        const reason = event === 'outcomeUnknown' ? 'The agent cannot know.' : 'The agent gave no answer.'
        this.#keepSettled(entry, now)
        this.#options.onSettled(tag, { kind: 'lost', reason }, entry.id)
        return
      }
      default:
        throw new BatonError('BATON_HANDOFF_TRANSITION', { detail: `Settled in ${state}.` })
    }
  }

  #keepSettled(entry: Entry<T>, now: number): void {
    this.#settled.add(entry, now)
    this.#arm(now + SETTLED_SWEEP_MS)
  }

  #sweep(): void {
    this.#disarm()
    const now = performance.now()
    this.#settled.sweep(now)
    let dueAt = this.#settled.size > 0 ? now + SETTLED_SWEEP_MS : Number.POSITIVE_INFINITY
    for (const entry of this.#inFlight.values()) {
      if (entry.state === 'offered') {
        if (now >= entry.deadlineAt) this.#step(entry, 'deadline', now)
      } else if (now - entry.heardAt >= this.#unknownTimeoutMs) this.#step(entry, 'gaveUp', now)
      else if (entry.taker.channel !== undefined && now - entry.askedAt >= this.#askEveryMs) {
        this.#step(entry, 'askTime', now)
      }
      dueAt = Math.min(dueAt, entry.state === 'offered' ? entry.deadlineAt : now + SWEEP_MS)
    }
    this.#arm(dueAt)
  }
}
