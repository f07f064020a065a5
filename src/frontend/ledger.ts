import type { CloseCause, Closed } from '../handoff/index.js'
import { clientText, type FlowKey, vipText } from '../kernel/flow.js'
import { atEndOfTurn } from '../kernel/turn.js'
import type { Registry } from '../registry/index.js'
import type { Steering } from '../steering/index.js'
import type { AccessRecord, FrontendMetrics, Tally } from '../telemetry/index.js'
import { decodeNotes } from './context.js'
import type { Refusal } from './dispatch.js'
import { headNotes } from './head.js'
import { partiesOf } from './parties.js'
import type { Records } from './records.js'
import type { RelayedRequest } from './relaying.js'

export interface LedgerOptions {
  readonly frontend: string
  readonly metrics: FrontendMetrics
  readonly registry: Registry
  readonly steering: Steering | undefined
  readonly records: Pick<Records, 'wanted' | 'write'>
  /** Before flows are let linger: steers what was adopted in this turn. */
  beforeLinger(): void
}

const wallClock = (monotonicMs: number) => Math.round(performance.timeOrigin + monotonicMs)

/** Writes down how each connection ended, and lets its flow linger. */
export class Ledger {
  readonly #options: LedgerOptions
  readonly #closed = new Map<CloseCause, Tally>()
  readonly #bytesIn: Tally
  readonly #bytesOut: Tally
  /** CLOSED records of this tick: one look at the flow table and one update for all. */
  #ended: Closed[] = []
  /** Those of them that only say that another frontend steers the flow now. */
  #claimed: Closed[] = []

  constructor(options: LedgerOptions) {
    this.#options = options
    this.#bytesIn = options.metrics.bytes.child('in')
    this.#bytesOut = options.metrics.bytes.child('out')
  }

  /** An agent reports the end of a connection, or of its part of one that moved on. Twice, after a broken channel. */
  closed(record: Closed): void {
    const { steering } = this.#options
    if (record.cause === 'claimed') {
      this.#claimed.push(record)
      if (this.#claimed.length === 1) atEndOfTurn(() => this.#forget())
      return
    }
    // What moved on is alive elsewhere.
    if (record.cause === 'moved' || steering === undefined) {
      this.#count(record)
      return
    }
    this.#ended.push(record)
    if (this.#ended.length === 1) atEndOfTurn(() => this.#letLinger(steering))
  }

  /**
   * Another frontend has its packets now. Should they come back they are unknown here, and claimed back: an entry that
   * stayed would go on steering to this agent after the other frontend moved the connection to the next.
   */
  #forget(): void {
    const { steering, beforeLinger } = this.#options
    const claimed = this.#claimed
    this.#claimed = []
    beforeLinger()
    const its = claimed.filter(({ flow, id }) => {
      const entry = steering?.get(flow)
      return entry?.state === 'steer' && entry.id === id
    })
    steering?.drop(its.map(({ flow }) => flow))
  }

  #letLinger(steering: Steering): void {
    const ended = this.#ended
    this.#ended = []
    this.#options.beforeLinger()
    const verdicts = steering.lingerOf(ended.map(({ flow, id }) => ({ key: flow, id })))
    const over: FlowKey[] = []
    for (const [index, record] of ended.entries()) {
      const verdict = verdicts[index]
      // Lingering already: a record that came twice.
      if (verdict === 'lingered') continue
      this.#count(record)
      // The flow may be another connection's by now, by a port used again.
      if (verdict === 'lingers') over.push(record.flow)
    }
    if (over.length > 0) this.#options.registry.removeFlows(over)
  }

  #count(record: Closed): void {
    this.#tallyOf(record.cause).value++
    this.#bytesIn.value += record.bytesIn
    this.#bytesOut.value += record.bytesOut
    if (this.#options.records.wanted) this.#options.records.write(this.#recordOf(record))
  }

  #tallyOf(cause: CloseCause): Tally {
    let tally = this.#closed.get(cause)
    if (tally === undefined) {
      tally = this.#options.metrics.closed.child(cause)
      this.#closed.set(cause, tally)
    }
    return tally
  }

  #recordOf(record: Closed): AccessRecord {
    const notes = decodeNotes(record.context)
    const claimed = notes?.client ?? null
    const time = notes?.acceptedAt ?? Math.round(Date.now() - record.durationMs)
    return {
      frontend: this.#options.frontend,
      time,
      listener: notes?.listener ?? '',
      client: claimed ?? clientText(record.flow),
      via: claimed === null ? null : clientText(record.flow),
      vip: vipText(record.flow),
      method: notes?.method ?? null,
      path: notes?.path ?? null,
      host: notes?.host ?? null,
      route: notes?.route ?? null,
      pool: notes?.pool ?? null,
      backend: notes?.backend ?? null,
      how: 'handoff',
      reason: null,
      status: record.status === 0 ? null : record.status,
      requests: record.requests === 0 ? null : record.requests,
      bytesIn: record.bytesIn,
      bytesOut: record.bytesOut,
      durationMs: notes === undefined ? record.durationMs : Math.max(0, Date.now() - notes.acceptedAt),
      phases: { headMs: notes?.headMs ?? 0, chooseMs: notes?.chooseMs ?? null, handoffMs: null },
      cause: record.cause,
      clientFields: notes?.clientFields,
    }
  }

  relayed(done: RelayedRequest): void {
    if (!this.#options.records.wanted) return
    this.#options.records.write({
      frontend: this.#options.frontend,
      time: wallClock(done.startedAtMs),
      listener: done.listener,
      client: done.client,
      via: done.via,
      vip: done.vip,
      method: done.method,
      path: done.path,
      host: done.host,
      route: done.route,
      pool: done.pool,
      backend: done.backend,
      how: 'relay',
      reason: done.reason,
      status: done.status === 0 ? null : done.status,
      requests: done.method === null ? null : 1,
      bytesIn: done.bytesIn,
      bytesOut: done.bytesOut,
      durationMs: Math.round(performance.now() - done.startedAtMs),
      phases: { headMs: 0, chooseMs: null, handoffMs: null },
      cause: done.error ?? 'backend',
      clientFields: done.clientFields,
    })
  }

  refused(refusal: Refusal): void {
    this.#options.metrics.rejected.inc(refusal.alert ?? String(refusal.status ?? refusal.code))
    if (!this.#options.records.wanted) return
    const durationMs = Math.round(performance.now() - refusal.acceptedAtMs)
    this.#options.records.write({
      frontend: this.#options.frontend,
      time: wallClock(refusal.acceptedAtMs),
      listener: refusal.listener,
      ...partiesOf(refusal.flow, refusal.claimed),
      ...headNotes(refusal.head),
      route: null,
      pool: null,
      backend: null,
      how: 'reject',
      reason: refusal.code,
      status: refusal.status,
      requests: null,
      bytesIn: refusal.head?.headBytes ?? 0,
      bytesOut: refusal.bytesOut,
      durationMs,
      phases: { headMs: durationMs, chooseMs: null, handoffMs: null },
      cause: 'reject',
      clientFields: refusal.clientFields,
    })
  }
}
