import { BatonError } from '../errors/index.js'
import type { Channel } from './channel.js'
import { MAX_REFUSAL_BYTES } from './limits.js'
import type { Ask, HandoffId, Message, Offer, Outcome } from './messages.js'
import type { OutcomeJournal, OutcomeKey } from './outcome-journal.js'
import { OutcomeMemory, type RememberedOutcome } from './outcome-memory.js'
import { stepTaker, type TakerEffect, type TakerEvent, type TakerState } from './taker-step.js'

export interface TakerOptions {
  /** This process's epoch, as in its HELLO. */
  readonly epoch: number
  /** Offers in hand at once; more are refused. Default 4,096. */
  readonly capacity?: number
  /** Lets a successor of this process answer for it. Without one it answers `unknown`. */
  readonly journal?: OutcomeJournal
  /** How long outcomes are remembered, in ms. Default 60,000. */
  readonly memoryMs?: number
  /** How many, at most. Default 1,000,000. */
  readonly maxRemembered?: number
  /**
   * A connection is offered. The caller then calls begin(), restores up to but not past the point of no return,
   * commit(), finishes, adopted(); or refuse() at any time before adopted().
   */
  onOffer(taken: Taken): void
}

/** The process that gave: what it offers is told apart by its id, its epoch and the handoff's id. */
interface GiverProcess {
  readonly id: string
  readonly epoch: number
  readonly active: Map<HandoffId, Taken>
  /** The highest number that anything is known of. Its numbers rise, so one above it has never been seen. */
  newest: HandoffId
  channel: Channel | undefined
}

/** One offer in the hands of its taker. */
export interface Taken {
  readonly offer: Offer
  readonly giver: { readonly id: string; readonly epoch: number }
  /** performance.now() when it came, in ms. */
  readonly receivedAtMs: number
  readonly state: TakerState
}

interface Hand extends Taken {
  readonly giver: GiverProcess
  state: TakerState
}

/** How far a clock that started at the sending of an ASK may lag behind one that started at the OFFER. */
const ASK_SLACK_MS = 5_000

/** The taking side of handoffs: restores none twice, and says what became of each for as long as it is asked. */
export class Taker {
  /** False refuses what comes from now on: this process drains. */
  accepting = true
  readonly #options: TakerOptions
  readonly #capacity: number
  readonly #memory: OutcomeMemory<GiverProcess>
  readonly #givers = new Map<string, Map<number, GiverProcess>>()
  #inHand = 0

  constructor(options: TakerOptions) {
    this.#options = options
    this.#capacity = options.capacity ?? 4096
    this.#memory = new OutcomeMemory(
      options.memoryMs ?? 60_000,
      options.maxRemembered ?? 1_000_000,
      performance.now(),
    )
  }

  /** Offers received and neither adopted nor refused. */
  get inHand(): number {
    return this.#inHand
  }

  /** Outcomes remembered. */
  get remembered(): number {
    return this.#memory.size
  }

  /**
   * To be called first for each channel: answers to this peer go to it from now on, and frames that still come from an
   * older one are ignored.
   */
  channelUp(channel: Channel): void {
    const { id, epoch } = channel.peer
    for (const giver of this.#givers.get(id)?.values() ?? []) giver.channel = undefined
    this.#giver(id, epoch).channel = channel
    this.#forgetGivers(id)
  }

  channelDown(channel: Channel): void {
    const giver = this.#giver(channel.peer.id, channel.peer.epoch)
    if (giver.channel === channel) giver.channel = undefined
  }

  /** Takes OFFER and ASK; false for other messages. */
  handle(channel: Channel, message: Message): boolean {
    if (message.type !== 'offer' && message.type !== 'ask') return false
    const giver = this.#giver(channel.peer.id, channel.peer.epoch)
    if (giver.channel !== channel) return true
    if (message.type === 'offer') this.#offer(giver, message)
    else this.#asked(giver, message)
    return true
  }

  /** Restoring begins. False: its time is over, it was refused (BATON_HANDOFF_EXPIRED), hands off. */
  begin(taken: Taken): boolean {
    const hand = taken as Hand
    if (performance.now() - hand.receivedAtMs > hand.offer.budgetMs) {
      this.refuse(hand, new BatonError('BATON_HANDOFF_EXPIRED'))
      return false
    }
    this.#step(hand, 'begin')
    return true
  }

  /**
   * Right before the point of no return: with a journal, noted where a kill -9 cannot wipe it out.
   * @throws BatonError BATON_JOURNAL: not noted, so it must be refused
   */
  commit(taken: Taken): void {
    this.#step(taken as Hand, 'commit')
  }

  /** The restored socket is live: the connection is this side's. */
  adopted(taken: Taken): void {
    this.#step(taken as Hand, 'adopt')
  }

  /** Gives the connection back. Only while nothing has left the restored socket, and only once that is closed. */
  refuse(taken: Taken, error: BatonError | { readonly code: string; readonly message: string }): void {
    this.#step(taken as Hand, 'fail', { code: error.code, message: bounded(error.message) })
  }

  /** The adopted connection is over. */
  ended(taken: Taken): void {
    const hand = taken as Hand
    hand.state = stepTaker(hand.state, 'end').state
    this.over(hand.giver, hand.offer.id)
  }

  /** A connection is over whose hand is not here any more, or was a predecessor's. */
  over(giver: Taken['giver'], id: HandoffId): void {
    const process = this.#giver(giver.id, giver.epoch)
    if (this.#memory.get(process, id) === undefined) return
    this.#remember(process, id, 'ended')
  }

  /** What became of an offer that a predecessor took, for whoever asks: this process knows better than the journal. */
  recall(giver: Taken['giver'], id: HandoffId, outcome: 'adopted' | 'refused'): void {
    this.#remember(this.#giver(giver.id, giver.epoch), id, outcome)
  }

  #remember(giver: GiverProcess, id: HandoffId, outcome: RememberedOutcome): void {
    giver.newest = Math.max(giver.newest, id)
    this.#memory.set(giver, id, outcome, performance.now())
  }

  #giver(id: string, epoch: number): GiverProcess {
    let processes = this.#givers.get(id)
    if (processes === undefined) {
      processes = new Map()
      this.#givers.set(id, processes)
    }
    let giver = processes.get(epoch)
    if (giver === undefined) {
      giver = { id, epoch, active: new Map(), newest: 0, channel: undefined }
      processes.set(epoch, giver)
    }
    return giver
  }

  /** Earlier processes of a peer, once nothing of theirs is in hand or remembered. */
  #forgetGivers(id: string): void {
    const processes = this.#givers.get(id)
    for (const [epoch, giver] of processes ?? []) {
      if (giver.channel === undefined && giver.active.size === 0 && !this.#memory.knows(giver))
        processes?.delete(epoch)
    }
  }

  #stateOf(giver: GiverProcess, id: HandoffId): TakerState {
    if (id > giver.newest) return 'unseen'
    return giver.active.get(id)?.state ?? this.#memory.get(giver, id) ?? 'unseen'
  }

  #offer(giver: GiverProcess, offer: Offer): void {
    const step = stepTaker(this.#stateOf(giver, offer.id), 'offer')
    if (step.effects[0] !== 'deliver') {
      this.#answer(giver, offer.id, step.effects)
      return
    }
    const hand: Hand = { offer, giver, receivedAtMs: performance.now(), state: step.state }
    giver.newest = Math.max(giver.newest, offer.id)
    giver.active.set(offer.id, hand)
    this.#inHand++
    if (!this.accepting || this.#inHand > this.#capacity)
      this.refuse(hand, new BatonError('BATON_HANDOFF_BUSY'))
    else this.#options.onOffer(hand)
  }

  #asked(asking: GiverProcess, ask: Ask): void {
    const giver = this.#whose(asking, ask)
    const before = this.#stateOf(giver, ask.id)
    const step = stepTaker(before, before === 'unseen' ? this.#judge(giver, ask) : 'ask')
    if (before === 'unseen') {
      const outcome = step.state === 'ended' ? 'ended' : 'tombstone'
      this.#remember(giver, ask.id, outcome)
    }
    this.#answer(asking, ask.id, step.effects)
  }

  /** The process whose offer is asked about: a successor that does not know its predecessor may mean any. */
  #whose(asking: GiverProcess, ask: Ask): GiverProcess {
    if (ask.giverEpoch !== 0) return this.#giver(asking.id, ask.giverEpoch)
    for (const giver of this.#givers.get(asking.id)?.values() ?? []) {
      if (this.#stateOf(giver, ask.id) !== 'unseen') return giver
    }
    return asking
  }

  /** Whether an offer that is not remembered was never seen, or may have been. */
  #judge(giver: GiverProcess, ask: Ask): TakerEvent {
    if (ask.takerEpoch === this.#options.epoch) {
      const offeredAt = performance.now() - ask.ageMs - ASK_SLACK_MS
      return offeredAt > this.#memory.forgottenUpTo ? 'ask' : 'askBlind'
    }
    const { journal } = this.#options
    if (journal === undefined) return 'askBlind'
    if (journal.has({ peerId: giver.id, giverEpoch: ask.giverEpoch, id: ask.id })) return 'askNoted'
    return journal.covers(ask.takerEpoch, ask.ageMs + ASK_SLACK_MS) ? 'ask' : 'askBlind'
  }

  #step(hand: Hand, event: TakerEvent, refusal?: { code: string; message: string }): void {
    const { giver, offer } = hand
    const step = stepTaker(hand.state, event)
    for (const effect of step.effects) if (effect === 'note') this.#options.journal?.record(keyOf(hand))
    hand.state = step.state
    if (step.state === 'adopted' || step.state === 'refused') {
      giver.active.delete(offer.id)
      this.#inHand--
      this.#remember(giver, offer.id, step.state)
    }
    for (const effect of step.effects) {
      if (effect === 'strike') this.#options.journal?.strike(keyOf(hand))
      else if (effect === 'sendAdopted') giver.channel?.send({ type: 'adopted', id: offer.id })
      else if (effect === 'sendRefused' && refusal)
        giver.channel?.send({ type: 'refused', id: offer.id, ...refusal })
    }
  }

  #answer(giver: GiverProcess, id: HandoffId, effects: readonly TakerEffect[]): void {
    for (const effect of effects) {
      const outcome = answers.get(effect)
      if (outcome !== undefined) giver.channel?.send({ type: 'outcome', id, outcome })
    }
  }
}

const keyOf = ({ giver, offer }: Hand): OutcomeKey => ({
  peerId: giver.id,
  giverEpoch: giver.epoch,
  id: offer.id,
})

const answers = new Map<TakerEffect, Outcome['outcome']>([
  ['answerAdopted', 'adopted'],
  ['answerRefused', 'refused'],
  ['answerEnded', 'ended'],
  ['answerPending', 'pending'],
  ['answerUnknown', 'unknown'],
])

/** A message within its cap, cut between two characters. */
function bounded(message: string): string {
  const bytes = Buffer.from(message, 'utf8')
  if (bytes.length <= MAX_REFUSAL_BYTES) return bytes.toString('utf8')
  let end = MAX_REFUSAL_BYTES
  while ((bytes[end]! & 0xc0) === 0x80) end--
  return bytes.toString('utf8', 0, end)
}
