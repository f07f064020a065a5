import { BatonError } from '../errors/index.js'

/**
 * One handoff as its giver sees it. With `offered` the connection is given away; only `refused` gives it back.
 *
 *    chosen ─► frozen ─► offered ─► adopted ─► (ended)
 *       │         │         ├─────► refused          the giver owns it again
 *       └─────────┴────►────┤
 *                           └─► unknown ─► adopted | refused | ended | lost
 */
export type GiverState =
  | 'chosen'
  | 'frozen'
  | 'offered'
  | 'unknown'
  | 'adopted'
  | 'refused'
  | 'ended'
  | 'lost'

export type GiverEvent =
  /** The socket is frozen and dumped. */
  | 'frozen'
  /** It cannot be frozen; it was left untouched. */
  | 'freezeFailed'
  /** The OFFER was handed to the channel. */
  | 'sent'
  /** The OFFER never left this process. */
  | 'notSent'
  | 'adopted'
  | 'refused'
  | 'channelLost'
  /** The offer's budget is over and there was no answer. */
  | 'deadline'
  /** A channel to the taker is up (again), or it is time to ask again. */
  | 'askTime'
  | 'outcomeAdopted'
  | 'outcomeRefused'
  | 'outcomeEnded'
  | 'outcomePending'
  | 'outcomeUnknown'
  /** No answer for so long that the taker counts as gone for good. */
  | 'gaveUp'

export type GiverEffect =
  /** Send OFFER. */
  | 'offer'
  /** Send ASK. */
  | 'ask'
  /** Tell the caller what became of it: exactly once in a handoff's life. */
  | 'settle'
  /** The taker answered after the handoff was given up: tell the caller. */
  | 'late'
  /** The taker contradicts what it said before: count it and say so loudly. */
  | 'contradiction'

export interface GiverStep {
  readonly state: GiverState
  readonly effects: readonly GiverEffect[]
}

const to = (state: GiverState, ...effects: GiverEffect[]): GiverStep => ({ state, effects })
const illegal = null

const adopted = to('adopted')
const refused = to('refused')
const ended = to('ended')
const lost = to('lost')
const lostLate = to('lost', 'late')

/** Every state with every event. An answer that comes twice changes nothing; one that contradicts is told. */
const steps: Readonly<Record<GiverState, Readonly<Record<GiverEvent, GiverStep | null>>>> = {
  chosen: {
    frozen: to('frozen', 'offer'),
    freezeFailed: to('refused', 'settle'),
    sent: illegal,
    notSent: illegal,
    adopted: illegal,
    refused: illegal,
    channelLost: to('chosen'),
    deadline: illegal,
    askTime: illegal,
    outcomeAdopted: illegal,
    outcomeRefused: illegal,
    outcomeEnded: illegal,
    outcomePending: illegal,
    outcomeUnknown: illegal,
    gaveUp: illegal,
  },
  frozen: {
    frozen: illegal,
    freezeFailed: illegal,
    sent: to('offered'),
    notSent: to('refused', 'settle'),
    adopted: illegal,
    refused: illegal,
    channelLost: to('frozen'),
    deadline: illegal,
    askTime: illegal,
    outcomeAdopted: illegal,
    outcomeRefused: illegal,
    outcomeEnded: illegal,
    outcomePending: illegal,
    outcomeUnknown: illegal,
    gaveUp: illegal,
  },
  offered: {
    frozen: illegal,
    freezeFailed: illegal,
    sent: illegal,
    notSent: to('refused', 'settle'),
    adopted: to('adopted', 'settle'),
    refused: to('refused', 'settle'),
    channelLost: to('unknown'),
    deadline: to('unknown', 'ask'),
    askTime: illegal,
    outcomeAdopted: illegal,
    outcomeRefused: illegal,
    outcomeEnded: illegal,
    outcomePending: illegal,
    outcomeUnknown: illegal,
    gaveUp: illegal,
  },
  unknown: {
    frozen: illegal,
    freezeFailed: illegal,
    sent: illegal,
    notSent: illegal,
    adopted: to('adopted', 'settle'),
    refused: to('refused', 'settle'),
    channelLost: to('unknown'),
    deadline: illegal,
    askTime: to('unknown', 'ask'),
    outcomeAdopted: to('adopted', 'settle'),
    outcomeRefused: to('refused', 'settle'),
    outcomeEnded: to('ended', 'settle'),
    outcomePending: to('unknown'),
    outcomeUnknown: to('lost', 'settle'),
    gaveUp: to('lost', 'settle'),
  },
  adopted: {
    frozen: illegal,
    freezeFailed: illegal,
    sent: illegal,
    notSent: illegal,
    adopted,
    refused: to('adopted', 'contradiction'),
    channelLost: adopted,
    deadline: illegal,
    askTime: illegal,
    outcomeAdopted: adopted,
    outcomeRefused: to('adopted', 'contradiction'),
    outcomeEnded: adopted,
    outcomePending: adopted,
    outcomeUnknown: adopted,
    gaveUp: illegal,
  },
  refused: {
    frozen: illegal,
    freezeFailed: illegal,
    sent: illegal,
    notSent: illegal,
    adopted: to('refused', 'contradiction'),
    refused,
    channelLost: refused,
    deadline: illegal,
    askTime: illegal,
    outcomeAdopted: to('refused', 'contradiction'),
    outcomeRefused: refused,
    outcomeEnded: to('refused', 'contradiction'),
    outcomePending: refused,
    outcomeUnknown: refused,
    gaveUp: illegal,
  },
  ended: {
    frozen: illegal,
    freezeFailed: illegal,
    sent: illegal,
    notSent: illegal,
    adopted: ended,
    refused: to('ended', 'contradiction'),
    channelLost: ended,
    deadline: illegal,
    askTime: illegal,
    outcomeAdopted: ended,
    outcomeRefused: to('ended', 'contradiction'),
    outcomeEnded: ended,
    outcomePending: ended,
    outcomeUnknown: ended,
    gaveUp: illegal,
  },
  lost: {
    frozen: illegal,
    freezeFailed: illegal,
    sent: illegal,
    notSent: illegal,
    adopted: lostLate,
    refused: lostLate,
    channelLost: lost,
    deadline: illegal,
    askTime: illegal,
    outcomeAdopted: lostLate,
    outcomeRefused: lostLate,
    outcomeEnded: lostLate,
    outcomePending: lost,
    outcomeUnknown: lost,
    gaveUp: illegal,
  },
}

/** The next state and what is to be done. @throws BatonError BATON_HANDOFF_TRANSITION */
export function stepGiver(state: GiverState, event: GiverEvent): GiverStep {
  const step = steps[state][event]
  if (step === illegal) {
    throw new BatonError('BATON_HANDOFF_TRANSITION', {
      detail: `Giver in ${state} met ${event}.`,
      step: event,
    })
  }
  return step
}

export const giverStates = Object.keys(steps) as readonly GiverState[]
export const giverEvents = Object.keys(steps.chosen) as readonly GiverEvent[]
