import type { Channel } from './channel.js'
import { encodeMessage } from './frames.js'
import type { Closed } from './messages.js'

interface Sent {
  readonly sequence: number
  readonly closed: Closed
}

/**
 * CLOSED records on their way to one frontend: sent at once while its channel is up, kept while it is away, and sent on
 * its next channel. What a channel swallowed when it broke is sent again, so a record may come twice, but none is lost:
 * a flow whose end nobody heard of would be steered for ever. Bounded: the oldest go first, and are counted.
 */
export class ClosedQueue {
  readonly #maxRecords: number
  #waiting: Closed[] = []
  #head = 0
  /** Sent, and not known to be handled by the frontend; see {@link Channel.confirmed}. From `#firstSent` on. */
  #sent: Sent[] = []
  #firstSent = 0
  #channel: Channel | undefined
  #dropped = 0

  /** @param maxRecords kept while the frontend is away. Default 65,536. */
  constructor(maxRecords = 65_536) {
    this.#maxRecords = maxRecords
  }

  /** Records that wait to be sent. */
  get size(): number {
    return this.#waiting.length - this.#head
  }

  /** Records thrown away because too many waited. */
  get dropped(): number {
    return this.#dropped
  }

  /** Whole milliseconds are made of the duration. @throws BatonError BATON_FRAME_VALUE, and nothing is kept */
  push(closed: Closed): void {
    const record = { ...closed, durationMs: Math.max(0, Math.round(closed.durationMs)) }
    if (this.size === 0 && this.#send(record)) return
    // What could not be written would block the queue for ever: find out now.
    encodeMessage(record)
    if (this.size >= this.#maxRecords) {
      this.#head++
      this.#dropped++
    }
    this.#waiting.push(record)
    this.#compact()
  }

  /** The frontend's channel is up: what waits leaves on it as fast as it takes it. */
  attach(channel: Channel): void {
    if (this.#channel !== undefined) this.detach(this.#channel)
    this.#channel = channel
    this.flush()
  }

  /** That channel is gone: what the frontend is not known to have waits again. */
  detach(channel: Channel): void {
    if (this.#channel !== channel) return
    this.#channel = undefined
    this.#forgetConfirmed(channel)
    const again = this.#sent.slice(this.#firstSent).map(({ closed }) => closed)
    this.#sent = []
    this.#firstSent = 0
    this.#waiting = [...again, ...this.#waiting.slice(this.#head)]
    this.#head = Math.max(0, this.#waiting.length - this.#maxRecords)
    this.#dropped += this.#head
  }

  /** To be called when the channel is writable again. */
  flush(): void {
    while (this.size > 0 && this.#send(this.#waiting[this.#head]!)) this.#head++
    this.#compact()
  }

  #send(closed: Closed): boolean {
    const channel = this.#channel
    if (!channel?.writable || !channel.sendSoon(closed)) return false
    this.#forgetConfirmed(channel)
    this.#sent.push({ sequence: channel.sent, closed })
    return true
  }

  #forgetConfirmed(channel: Channel): void {
    const { confirmed } = channel
    while (this.#firstSent < this.#sent.length && this.#sent[this.#firstSent]!.sequence <= confirmed)
      this.#firstSent++
    if (this.#firstSent < 1024 && this.#firstSent < this.#sent.length) return
    this.#sent = this.#sent.slice(this.#firstSent)
    this.#firstSent = 0
  }

  #compact(): void {
    if (this.#head < 1024 || this.#head * 2 < this.#waiting.length) return
    this.#waiting = this.#waiting.slice(this.#head)
    this.#head = 0
  }
}
