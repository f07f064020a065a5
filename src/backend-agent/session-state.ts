/**
 * Where a kept-alive HTTP connection stands.
 *
 *     reading ──whole──► answering ──answered──► idle ──own-head──► reading …
 *      ▲  │ lost-count     │  │ head             │ foreign-head
 *      │  ▼                │  ▼                  │
 *      │ plain ◄──no-head──┘ queued ──foreign-head┤
 *      │                     │ own-head          ▼
 *      └─────────────────────┴───── stay ──── moving ──freeze──► frozen ──leave──► left
 *
 * From `answering` on reading is held, and the gate looks for the next head; `no-head` leads to `plain` from each of
 * these states, `closing` to `ended` from all but `left`.
 */
export type SessionState =
  /** The server reads: a request is on its way in. */
  | 'reading'
  /** The request has been read to its last byte and is being answered. */
  | 'answering'
  /** The next head, or something that is none, has come before the answer was out. */
  | 'queued'
  /** Between two requests. */
  | 'idle'
  /** The next request belongs elsewhere; the frontend has been asked to park the connection. */
  | 'moving'
  /** In repair mode, offered. */
  | 'frozen'
  /** It lives elsewhere. */
  | 'left'
  /** The server reads when it likes: the connection stays to its end. */
  | 'plain'
  | 'ended'

export type SessionEvent =
  | 'whole'
  | 'answered'
  | 'head'
  | 'own-head'
  | 'foreign-head'
  | 'no-head'
  | 'lost-count'
  | 'freeze'
  | 'stay'
  | 'leave'
  | 'closing'

const steps: { readonly [S in SessionState]: { readonly [E in SessionEvent]?: SessionState } } = {
  reading: { whole: 'answering', 'lost-count': 'plain' },
  answering: { answered: 'idle', head: 'queued', 'no-head': 'plain', 'lost-count': 'plain' },
  queued: { 'own-head': 'reading', 'foreign-head': 'moving', 'no-head': 'plain' },
  idle: { 'own-head': 'reading', 'foreign-head': 'moving', 'no-head': 'plain' },
  moving: { freeze: 'frozen', stay: 'reading' },
  frozen: { stay: 'reading', leave: 'left' },
  left: { closing: 'left' },
  plain: { 'lost-count': 'plain', 'no-head': 'plain' },
  ended: { 'lost-count': 'ended', stay: 'ended' },
}

/** Reading is held, and the gate waits for the next head. */
export function isWatched(state: SessionState): boolean {
  return state === 'answering' || state === 'idle'
}

/** @throws Error for an event that cannot happen in that state: a bug, not a peer's mistake */
export function next(state: SessionState, event: SessionEvent): SessionState {
  if (event === 'closing' && state !== 'left') return 'ended'
  const to = steps[state][event]
  if (to === undefined) throw new Error(`session: ${event} while ${state}`)
  return to
}
