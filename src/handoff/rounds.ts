/** Rounds are made at multiples of this, in ms, so that what is due at nearly the same time wakes the process once. */
export const ROUND_MS = 50
/** Later than this, the process was busy, and much may lie unread. */
const BUSY_MS = 10
/** Later than this, it stood still: stopped, or very busy. */
const LATE_MS = 250

/** Something that is to be looked at from time to time. Times are of performance.now(). */
export interface Watched {
  /** When next. It may move to later between two looks, not to earlier. */
  readonly dueAt: number
  /** The time has come, or another's has. */
  look(now: number): void
  /** Time in which nothing could be looked at; told before the look. */
  excuse(lateMs: number, now: number): void
}

/** One timer for all that a process watches, which runs out when the first of them is due. */
export class Rounds {
  readonly #watched = new Set<Watched>()
  #timer: NodeJS.Timeout | undefined
  #plannedAt = Number.POSITIVE_INFINITY

  add(watched: Watched): void {
    this.#watched.add(watched)
    if (watched.dueAt < this.#plannedAt) this.#plan()
  }

  delete(watched: Watched): void {
    if (this.#watched.delete(watched) && this.#watched.size === 0) this.#plan()
  }

  #plan(): void {
    clearTimeout(this.#timer)
    let dueAt = Number.POSITIVE_INFINITY
    for (const watched of this.#watched) dueAt = Math.min(dueAt, watched.dueAt)
    this.#plannedAt = dueAt
    if (dueAt === Number.POSITIVE_INFINITY) return
    const now = performance.now()
    this.#plannedAt = Math.max(Math.ceil(dueAt / ROUND_MS), Math.floor(now / ROUND_MS) + 1) * ROUND_MS
    this.#timer = setTimeout(this.#onTime, this.#plannedAt - now)
  }

  readonly #onTime = (): void => {
    const lateMs = performance.now() - this.#plannedAt
    // Else the loop has read just now what there was.
    if (lateMs < BUSY_MS) this.#round(lateMs)
    // Behind the reading: what lies unread is a sign of life, and a write into a channel that broke would throw it away.
    else setImmediate(() => this.#round(lateMs))
  }

  #round(lateMs: number): void {
    const now = performance.now()
    for (const watched of this.#watched) {
      if (lateMs > LATE_MS) watched.excuse(lateMs, now)
      watched.look(now)
    }
    this.#plan()
  }
}

/** Of this process. */
export const rounds = new Rounds()
