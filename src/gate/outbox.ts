import { closeFd } from '../kernel/host.js'
import type { Arrival, Gone, Rejected } from './arrival.js'
import type { BadHead } from './head-result.js'
import type { Sight } from './judge.js'
import type { Connection } from './pending.js'

export interface Receivers<Head> {
  onArrivals(arrivals: Arrival<Head>[]): void
  onRejected(rejected: Rejected[]): void
  /** Without it the gate closes these descriptors itself. */
  onGone?(gone: Gone[]): void
}

/** What one wake-up or one tick has to tell. */
export class Outbox<Head> {
  readonly #arrivals: Arrival<Head>[] = []
  readonly #rejected: Rejected[] = []
  readonly #gone: Gone[] = []

  arrive(connection: Connection, head: Head, sight: Sight, arrivedAtMs: number): void {
    this.#arrivals.push({
      fd: connection.fd,
      flow: connection.flow,
      listener: connection.listener,
      claimed: connection.claimed,
      head,
      bytes: sight.bytes,
      queuedBytes: sight.queuedBytes,
      halfClosed: sight.halfClosed,
      acceptedAtMs: connection.acceptedAtMs,
      arrivedAtMs,
    })
  }

  reject(connection: Connection, { status, code, detail }: BadHead): void {
    this.#rejected.push({ ...connection, status, code, detail })
  }

  lose(connection: Connection, reason: Gone['reason']): void {
    this.#gone.push({ ...connection, reason })
  }

  /** Each receiver is called even if one before it throws, since the descriptors are theirs to close. */
  deliver(receivers: Receivers<Head>): void {
    try {
      if (this.#arrivals.length > 0) receivers.onArrivals(this.#arrivals)
    } finally {
      try {
        if (this.#rejected.length > 0) receivers.onRejected(this.#rejected)
      } finally {
        if (this.#gone.length > 0) {
          if (receivers.onGone) receivers.onGone(this.#gone)
          else for (const { fd } of this.#gone) closeFd(fd)
        }
      }
    }
  }
}
