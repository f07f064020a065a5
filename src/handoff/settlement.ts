import type { HandoffId } from './messages.js'

/** What became of an offer, as the giver learns it: exactly once for each. */
export type Settlement =
  /** The taker owns the connection: steer to it, then close the frozen socket silently. */
  | { readonly kind: 'adopted' }
  /** The giver owns the connection: thaw, and go elsewhere. */
  | { readonly kind: 'refused'; readonly code: string; readonly message: string }
  /** The taker owned the connection, and it is over. */
  | { readonly kind: 'ended' }
  /** Nobody can say: the client is to be reset (BATON_HANDOFF_LOST). */
  | { readonly kind: 'lost'; readonly reason: string }

/** What came for a handoff after it was settled. */
export interface LateAnswer {
  readonly id: HandoffId
  readonly agentId: string
  readonly answer: 'adopted' | 'refused' | 'ended'
}

export interface GiverCounters {
  readonly offered: number
  readonly adopted: number
  readonly refused: number
  readonly ended: number
  readonly lost: number
  /** Offers that went through `unknown`. */
  readonly unknown: number
  readonly asks: number
  /** Answers after `lost`. */
  readonly late: number
  /** Answers against an earlier answer of the same taker: a mistake in the program, or an impostor. */
  readonly contradictions: number
  /** Answers to offers that are forgotten or never were. */
  readonly stray: number
}
