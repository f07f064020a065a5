/** Something that waits; the wheel notes in it where it stands. */
export interface Waiting {
  /** performance.now() at which it ends; Infinity waits for ever. */
  deadlineMs: number
  slot: number
}

const SLOTS = 512
const NOWHERE = -1

/**
 * Deadlines without a timer each: one interval while anything waits, and a hashed wheel of sets. An item ends between
 * its deadline and one tick later.
 */
export class DeadlineWheel<T extends Waiting> {
  readonly #slots: Set<T>[] = Array.from({ length: SLOTS }, () => new Set<T>())
  readonly #tickMs: number
  readonly #onExpired: (expired: T[], nowMs: number) => void
  #timer: NodeJS.Timeout | undefined
  #lastTick = 0
  #size = 0

  constructor(tickMs: number, onExpired: (expired: T[], nowMs: number) => void) {
    this.#tickMs = tickMs
    this.#onExpired = onExpired
  }

  get size(): number {
    return this.#size
  }

  /** Starts or moves the deadline of an item. */
  set(item: T, deadlineMs: number): void {
    this.delete(item)
    item.deadlineMs = deadlineMs
    if (deadlineMs === Number.POSITIVE_INFINITY) return
    if (this.#size++ === 0) this.#start()
    const tick = Math.max(Math.ceil(deadlineMs / this.#tickMs), this.#lastTick + 1)
    item.slot = tick % SLOTS
    this.#slots[item.slot]?.add(item)
  }

  delete(item: T): void {
    if (item.slot === NOWHERE) return
    this.#slots[item.slot]?.delete(item)
    item.slot = NOWHERE
    if (--this.#size === 0) this.stop()
  }

  stop(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  #start(): void {
    this.#lastTick = Math.floor(performance.now() / this.#tickMs)
    this.#timer = setInterval(() => this.#turn(), this.#tickMs)
    this.#timer.unref()
  }

  #turn(): void {
    const nowMs = performance.now()
    const tick = Math.floor(nowMs / this.#tickMs)
    const expired: T[] = []
    for (let at = Math.max(this.#lastTick + 1, tick - SLOTS + 1); at <= tick; at++) {
      for (const item of this.#slots[at % SLOTS] ?? []) if (item.deadlineMs <= nowMs) expired.push(item)
    }
    this.#lastTick = tick
    for (const item of expired) this.delete(item)
    if (expired.length > 0) this.#onExpired(expired, nowMs)
  }
}

/** The slot of an item that does not wait. */
export const noSlot = NOWHERE
