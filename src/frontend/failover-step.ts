/**
 * Where the question stands whose a flow is, of which packets came that nobody knows here.
 *
 *     waiting ──turn──► looking ──up──► claiming ──yours──► steered
 *        ▲  ▲             │ │ │          ▲ │ │ └─none, again──► gone
 *        │  └─unavailable─┘ │ └─away─┐  up │ └─none, later──► waiting
 *        └──────────────    │        ▼   │ ▼ away
 *                  absent, again    reaching ──late──► unreachable
 *                           ▼
 *                        unknown
 *
 * `absent` for the first time leads back to waiting: the note may be on its way to Redis. `restarted` leads from looking and reaching to gone; `late` to unanswered, where it is not drawn.
 */
export type LookupState =
  /** For its turn, for Redis, or to look once more. */
  | 'waiting'
  /** The registry is asked. */
  | 'looking'
  /** The note names an agent whose channel is not up. */
  | 'reaching'
  /** The agent is asked. */
  | 'claiming'
  | LookupResult

export type LookupResult =
  /** The agent has the connection, and it is steered there. */
  | 'steered'
  /** No frontend noted it. */
  | 'unknown'
  /** It was handed over, and is no more. */
  | 'gone'
  /** Its agent could not be reached in time. */
  | 'unreachable'
  /** Redis or the agent had no answer in time. */
  | 'unanswered'

export type LookupEvent =
  | 'turn'
  /** The registry: there is no note, for the first time and when it is asked once more; it cannot be asked now. */
  | 'absent'
  | 'absent-again'
  | 'unavailable'
  /** The agent of the note: its process of that time is there; no channel is up; another process is there. */
  | 'up'
  | 'away'
  | 'restarted'
  /** The agent's answers; `none-again` when it was asked about the same handoff before. */
  | 'yours'
  | 'later'
  | 'none'
  | 'none-again'
  /** Its time is over. */
  | 'late'

const steps: { readonly [S in LookupState]?: { readonly [E in LookupEvent]?: LookupState } } = {
  waiting: { turn: 'looking', late: 'unanswered' },
  looking: {
    absent: 'waiting',
    'absent-again': 'unknown',
    unavailable: 'waiting',
    up: 'claiming',
    away: 'reaching',
    restarted: 'gone',
    late: 'unanswered',
  },
  reaching: { up: 'claiming', restarted: 'gone', late: 'unreachable' },
  claiming: {
    yours: 'steered',
    later: 'waiting',
    // It may have been on its way to another agent, and its newer note on the way to Redis.
    none: 'waiting',
    'none-again': 'gone',
    away: 'reaching',
    late: 'unanswered',
  },
}

/** @throws Error for an event that cannot happen in that state: a bug, not a peer's mistake */
export function stepLookup(state: LookupState, event: LookupEvent): LookupState {
  const to = steps[state]?.[event]
  if (to === undefined) throw new Error(`failover: ${event} while ${state}`)
  return to
}

/**
 * What becomes of the waiting packets. A client that is reset is lost, one whose packets are dropped sends them again:
 * so `drop` wherever it is not known that the connection is over.
 */
export function verdict(result: LookupResult): 'steer' | 'unpark' | 'drop' {
  switch (result) {
    case 'steered':
      return 'steer'
    case 'unknown':
    case 'gone':
    case 'unreachable':
      return 'unpark'
    case 'unanswered':
      return 'drop'
    default:
      return result satisfies never
  }
}
