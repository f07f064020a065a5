/** How often a channel looks at its peer, in ms. */
export const TICK_MS = 250
export const PING_EVERY_MS = 500
/** Silence after which a peer is dead: with one tick on top it is known within 2 s. */
export const DEAD_AFTER_MS = 1_700

/**
 * Tells a dead peer from a silent one. Times are of one monotonic clock, in ms.
 *
 * Time in which this process itself stood still (stopped, or busy) is not the peer's silence: the answers may lie
 * unread in the socket.
 */
export class Liveness {
  #heardAt: number
  #tickedAt: number
  #pingedAt: number
  #nonce = 0
  #rttMs: number | undefined

  constructor(now: number) {
    this.#heardAt = now
    this.#tickedAt = now
    this.#pingedAt = now - PING_EVERY_MS
  }

  /** The last round trip of a PING; undefined before the first. */
  get rttMs(): number | undefined {
    return this.#rttMs
  }

  /** Anything came. */
  heard(now: number): void {
    this.#heardAt = now
  }

  /** A PONG came; an old one is no measure. */
  pong(nonce: number, now: number): void {
    if (nonce === this.#nonce) this.#rttMs = now - this.#pingedAt
  }

  /** To be called every {@link TICK_MS}: a nonce to PING with, or the verdict. */
  tick(now: number): { readonly ping: number } | 'quiet' | 'dead' {
    const late = now - this.#tickedAt - TICK_MS
    this.#tickedAt = now
    if (late > TICK_MS) {
      this.#heardAt += late
      // What lies unread comes first: a PING into a channel that has broken meanwhile would throw it away.
      return 'quiet'
    }
    if (now - this.#heardAt >= DEAD_AFTER_MS) return 'dead'
    // Half a tick early rather than half a tick late: timers never fire on the dot.
    if (now - this.#pingedAt < PING_EVERY_MS - TICK_MS / 2) return 'quiet'
    return { ping: this.ping(now) }
  }

  /** A nonce to PING with out of turn. */
  ping(now: number): number {
    this.#pingedAt = now
    this.#nonce = (this.#nonce + 1) >>> 0
    return this.#nonce
  }
}
