import { BatonError } from '../errors/index.js'
import type { Channel } from './channel.js'
import type { GiverEvent, GiverState } from './giver-step.js'
import type { HandoffId } from './messages.js'
import type { LateAnswer } from './settlement.js'

/** An agent to which offers go. */
export interface GiversTaker {
  readonly id: string
  channel: Channel | undefined
  inFlight: number
}

/** One offer, from its sending to the end of its late answers. */
export interface Entry<T> {
  readonly id: HandoffId
  /** The caller's. Let go with a refusal, after which nothing is told by it: it may hold a snapshot. */
  tag: T | undefined
  readonly taker: GiversTaker
  readonly giverEpoch: number
  readonly takerEpoch: number
  readonly channel: Channel | undefined
  /** Its number on the channel: after channel.handedOver it never left. */
  sequence: number
  state: GiverState
  /** performance.now() ms. */
  readonly sentAt: number
  readonly deadlineAt: number
  askedAt: number
  heardAt: number
}

/** How long a settled offer is remembered for late answers. */
const LATE_MS = 60_000
const MAX_LATE = 100_000

/** Offers that were refused or lost, for the answers that may still come: bounded in time and number. */
export class SettledEntries<T> {
  /** Oldest first. */
  readonly #entries = new Map<HandoffId, { readonly entry: Entry<T>; readonly forgetAt: number }>()

  get size(): number {
    return this.#entries.size
  }

  get(id: HandoffId): Entry<T> | undefined {
    return this.#entries.get(id)?.entry
  }

  add(entry: Entry<T>, now: number): void {
    this.#entries.set(entry.id, { entry, forgetAt: now + LATE_MS })
    if (this.#entries.size <= MAX_LATE) return
    for (const oldest of this.#entries.keys()) {
      this.#entries.delete(oldest)
      return
    }
  }

  sweep(now: number): void {
    for (const [id, { forgetAt }] of this.#entries) {
      if (forgetAt > now) return
      this.#entries.delete(id)
    }
  }

  clear(): void {
    this.#entries.clear()
  }
}

/** The event that an OUTCOME is to the giver. */
export const outcomeEvents = {
  adopted: 'outcomeAdopted',
  refused: 'outcomeRefused',
  ended: 'outcomeEnded',
  pending: 'outcomePending',
  unknown: 'outcomeUnknown',
} as const satisfies Record<string, GiverEvent>

/** The words of a refusal that no taker sent. */
export function refusal(code: 'BATON_HANDOFF_NOT_SENT' | 'BATON_HANDOFF_NEVER_SEEN'): {
  code: string
  message: string
} {
  return { code, message: new BatonError(code).message }
}

export function lateAnswer<T>(entry: Entry<T>, event: GiverEvent): LateAnswer {
  const answer =
    event === 'adopted' || event === 'outcomeAdopted'
      ? 'adopted'
      : event === 'outcomeEnded'
        ? 'ended'
        : 'refused'
  return { id: entry.id, agentId: entry.taker.id, answer }
}
