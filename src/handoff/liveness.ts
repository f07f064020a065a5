/** Silence after which the side that dialled asks its peer for a sign of life, in ms. */
export const ASK_AFTER_MS = 900
/** The other side mostly hears the question, and need not ask itself. */
export const ASK_BACK_AFTER_MS = 1_200
/** Silence after which a peer is dead: with a round on top it is known within 2 s. */
export const DEAD_AFTER_MS = 1_850
/** It is looked at once more before: where all the machine stood still, the peer then has had a moment to answer. */
const SUSPECT_AFTER_MS = 1_750
/** A round trip is measured so often where nothing else asks. */
const MEASURE_EVERY_MS = 5_000
const MEASURE_BACK_EVERY_MS = 10_000
/** And so often by the other side beside an answer, which leaves with it. */
const MEASURE_BESIDE_MS = 3_000
/** Messages whose receipt is wanted are asked about so often. */
const CONFIRM_EVERY_MS = 900
const CONFIRM_BESIDE_MS = 300

/**
 * Tells a dead peer from a silent one, and says when to PING. Whoever is heard is alive, so nothing is asked while there
 * is traffic. In silence the side that dialled asks, for it has many peers and asks all of them in one go; the other
 * side asks when it is not asked. Times are of one monotonic clock, in ms.
 */
export class Liveness {
  readonly #dialled: boolean
  #heardAt: number
  /** -Infinity: never. */
  #askedAt: number
  /** When it was found to owe an answer for so long. */
  #suspectedAt = Number.NEGATIVE_INFINITY
  #nonce = 0
  #rttMs: number | undefined

  constructor(now: number, dialled: boolean) {
    this.#dialled = dialled
    this.#heardAt = now
    // The side that was dialled measures its first round trip beside the answer to the first question.
    this.#askedAt = dialled ? Number.NEGATIVE_INFINITY : now - MEASURE_BESIDE_MS
  }

  /** The last round trip of a PING; undefined before the first. */
  get rttMs(): number | undefined {
    return this.#rttMs
  }

  /** When {@link look} is to be called next; later when more is heard until then. */
  get dueAt(): number {
    if (this.#askedAt > this.#heardAt) {
      const isSuspect = this.#suspectedAt > this.#heardAt
      return this.#heardAt + (isSuspect ? DEAD_AFTER_MS : SUSPECT_AFTER_MS)
    }
    return Math.min(
      this.#heardAt + (this.#dialled ? ASK_AFTER_MS : ASK_BACK_AFTER_MS),
      this.#askedAt + (this.#dialled ? MEASURE_EVERY_MS : MEASURE_BACK_EVERY_MS),
    )
  }

  /** Anything came. */
  heard(now: number): void {
    this.#heardAt = now
  }

  /** A PONG came; an old one is no measure. */
  pong(nonce: number, now: number): void {
    if (nonce === this.#nonce) this.#rttMs = now - this.#askedAt
  }

  /** This process stood still for so long, which is not the peer's silence. */
  excuse(lateMs: number, now: number): void {
    this.#heardAt = Math.min(now, this.#heardAt + lateMs)
  }

  /**
   * To be called when it is due, or earlier: whoever asks many peers asks those early whose turn would come soon.
   * @param unconfirmed whether anything was sent whose receipt is wanted
   */
  look(now: number, unconfirmed: boolean): 'dead' | 'ask' | 'quiet' {
    const silentMs = now - this.#heardAt
    const isSuspect = this.#suspectedAt > this.#heardAt
    if (isSuspect && silentMs >= DEAD_AFTER_MS) return 'dead'
    if (!isSuspect && silentMs >= SUSPECT_AFTER_MS) this.#suspectedAt = now
    const askAfterMs = this.#dialled ? ASK_AFTER_MS / 2 : ASK_BACK_AFTER_MS
    if (silentMs >= askAfterMs && this.#askedAt <= this.#heardAt) return 'ask'
    const askedMs = now - this.#askedAt
    if (unconfirmed && askedMs >= CONFIRM_EVERY_MS) return 'ask'
    return askedMs >= (this.#dialled ? MEASURE_EVERY_MS : MEASURE_BACK_EVERY_MS) ? 'ask' : 'quiet'
  }

  /** Whether a PING of this side should leave with the PONG that it sends now: together they cost what one does. */
  asksBeside(now: number, unconfirmed: boolean): boolean {
    return now - this.#askedAt >= (unconfirmed ? CONFIRM_BESIDE_MS : MEASURE_BESIDE_MS)
  }

  /** The nonce of a PING that is sent now. */
  ask(now: number): number {
    this.#askedAt = now
    this.#nonce = (this.#nonce + 1) >>> 0
    return this.#nonce
  }
}
