import { BatonError } from '../errors/index.js'

/**
 * One handoff as its taker sees it.
 *
 *    unseen ─► received ─► restoring ─► committed ─► adopted ─► ended
 *       │          └───────────┴────────────┴──────► refused
 *       └─► tombstone (asked about before it came)
 *
 * `committed` is noted in the journal and stands before the point of no return: a process that dies there is answered
 * for as `ended`, since nobody can say whether bytes had left.
 */
export type TakerState =
  | 'unseen'
  | 'received'
  | 'restoring'
  | 'committed'
  | 'adopted'
  | 'refused'
  | 'ended'
  | 'tombstone'

export type TakerEvent =
  /** OFFER came. */
  | 'offer'
  /** Restoring begins. */
  | 'begin'
  /** About to pass the point of no return. */
  | 'commit'
  /** The restored socket is live. */
  | 'adopt'
  /** It will not be taken: nothing has left the restored socket, and it is gone. */
  | 'fail'
  /** The adopted connection is over. */
  | 'end'
  /** ASK came, and this process would remember the OFFER. */
  | 'ask'
  /** ASK came about a time that this process cannot speak for. */
  | 'askBlind'
  /** ASK came; the predecessor's journal says that it committed. */
  | 'askNoted'

export type TakerEffect =
  /** Hand the OFFER to the caller. */
  | 'deliver'
  /** Note it in the journal; strike it out again. */
  | 'note'
  | 'strike'
  | 'sendAdopted'
  | 'sendRefused'
  | 'answerAdopted'
  | 'answerRefused'
  | 'answerEnded'
  | 'answerPending'
  | 'answerUnknown'

export interface TakerStep {
  readonly state: TakerState
  readonly effects: readonly TakerEffect[]
}

const to = (state: TakerState, ...effects: TakerEffect[]): TakerStep => ({ state, effects })
const illegal = null

/** However an ASK is judged, what this process itself remembers comes first. */
const asked = (step: TakerStep) => ({ ask: step, askBlind: step, askNoted: step })

const steps: Readonly<Record<TakerState, Readonly<Record<TakerEvent, TakerStep | null>>>> = {
  unseen: {
    offer: to('received', 'deliver'),
    begin: illegal,
    commit: illegal,
    adopt: illegal,
    fail: illegal,
    end: illegal,
    ask: to('tombstone', 'answerRefused'),
    askBlind: to('tombstone', 'answerUnknown'),
    askNoted: to('ended', 'answerEnded'),
  },
  received: {
    offer: to('received'),
    begin: to('restoring'),
    commit: illegal,
    adopt: illegal,
    fail: to('refused', 'sendRefused'),
    end: illegal,
    ...asked(to('received', 'answerPending')),
  },
  restoring: {
    offer: to('restoring'),
    begin: illegal,
    commit: to('committed', 'note'),
    adopt: illegal,
    fail: to('refused', 'sendRefused'),
    end: illegal,
    ...asked(to('restoring', 'answerPending')),
  },
  committed: {
    offer: to('committed'),
    begin: illegal,
    commit: illegal,
    adopt: to('adopted', 'sendAdopted'),
    fail: to('refused', 'strike', 'sendRefused'),
    end: illegal,
    ...asked(to('committed', 'answerPending')),
  },
  adopted: {
    offer: to('adopted', 'answerAdopted'),
    begin: illegal,
    commit: illegal,
    adopt: illegal,
    fail: illegal,
    end: to('ended'),
    ...asked(to('adopted', 'answerAdopted')),
  },
  refused: {
    offer: to('refused', 'answerRefused'),
    begin: illegal,
    commit: illegal,
    adopt: illegal,
    fail: illegal,
    end: illegal,
    ...asked(to('refused', 'answerRefused')),
  },
  ended: {
    offer: to('ended', 'answerEnded'),
    begin: illegal,
    commit: illegal,
    adopt: illegal,
    fail: illegal,
    end: illegal,
    ...asked(to('ended', 'answerEnded')),
  },
  tombstone: {
    offer: to('tombstone'),
    begin: illegal,
    commit: illegal,
    adopt: illegal,
    fail: illegal,
    end: illegal,
    ask: to('tombstone', 'answerRefused'),
    askBlind: to('tombstone', 'answerUnknown'),
    askNoted: to('tombstone', 'answerRefused'),
  },
}

/** The next state and what is to be done. @throws BatonError BATON_HANDOFF_TRANSITION */
export function stepTaker(state: TakerState, event: TakerEvent): TakerStep {
  const step = steps[state][event]
  if (step === illegal) {
    throw new BatonError('BATON_HANDOFF_TRANSITION', {
      detail: `Taker in ${state} met ${event}.`,
      step: event,
    })
  }
  return step
}

export const takerStates = Object.keys(steps) as readonly TakerState[]
export const takerEvents = Object.keys(steps.unseen) as readonly TakerEvent[]
