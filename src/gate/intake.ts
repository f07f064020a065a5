import type { ErrorCode } from '../errors/index.js'
import type { FlowKey } from '../kernel/flow.js'
import type { GateCalls, GateHandle } from '../kernel/gate.js'
import { Census } from './census.js'
import { DeadlineWheel } from './deadline-wheel.js'
import { bad } from './head-result.js'
import { judge, judgeTimeout, type Sight, type Verdict } from './judge.js'
import type { GateLimits } from './limits.js'
import { Outbox } from './outbox.js'
import { type Connection, type Expected, Pending } from './pending.js'
import { behindHeader, headerTimeout, judgeHeader } from './preface.js'
import type { Records } from './records.js'

/** A listener, as its connections need it. */
export interface Source<Head> extends Expected<Head> {
  readonly name: string
  /** Whose PROXY protocol headers are believed; undefined where none are due. */
  readonly trusts: ((flow: FlowKey) => boolean) | undefined
}

/** What one look came to. */
interface Seen<Head> {
  readonly connection: Connection
  readonly sight: Sight
  readonly verdict: Verdict<Head>
  readonly headerDue: boolean
}

const TICK_MS = 100
/** Unread bytes from which on the initial receive window could hold a head up. */
const WIDEN_BYTES = 16 * 1024
/** The kernel says zero window already while a sixteenth, or one segment, is free: __tcp_select_window. */
const WIDEN_TIMES = 2

/** The connections inside the gate: what each look at one leads to, and what the passing of time does. */
export class Intake<Head> {
  readonly #calls: GateCalls
  readonly #handle: GateHandle
  readonly #records: Records
  readonly #limits: GateLimits
  readonly #pending = new Map<number, Pending<Head>>()
  readonly #wheel: DeadlineWheel<Pending<Head>>
  readonly census: Census
  #generation = 0

  /** @param onExpired gets what ended by its deadline */
  constructor(
    calls: GateCalls,
    handle: GateHandle,
    records: Records,
    limits: GateLimits,
    onExpired: (outbox: Outbox<Head>) => void,
  ) {
    this.#calls = calls
    this.#handle = handle
    this.#records = records
    this.#limits = limits
    this.census = new Census(limits.maxConnections, limits.maxConnectionsPerClient)
    this.#wheel = new DeadlineWheel(TICK_MS, (expired) => onExpired(this.#expire(expired)))
  }

  get size(): number {
    return this.#pending.size
  }

  get(fd: number): Pending<Head> | undefined {
    return this.#pending.get(fd)
  }

  /** The first look at a connection. One whose head is whole leaves without a trace here. */
  onAccepted(index: number, source: Source<Head>, nowMs: number, outbox: Outbox<Head>): void {
    const flow = this.#records.flow(index)
    const { name: listener, trusts } = source
    const fresh = { fd: this.#records.fd(index), flow, listener, acceptedAtMs: nowMs, claimed: null }
    const limit = trusts === undefined ? this.census.admit(flow) : this.#admitBalancer(flow, trusts)
    if (limit) {
      outbox.reject(fresh, bad(limit, ''))
      return
    }
    const { connection, sight, verdict, headerDue } = this.#look(fresh, source, this.#records.sight(index), 0)
    if (verdict.kind !== 'incomplete') {
      this.#settle(connection, true, verdict, sight, nowMs, outbox)
      return
    }
    try {
      const pending = this.keep(connection, { ...source, headerDue }, this.#limits.headTimeoutMs)
      pending.seen = sight.length
    } catch (cause) {
      // The epoll set has no room: to the client that is what a limit is.
      this.census.release(flow)
      outbox.reject(connection, bad('BATON_GATE_FULL', String(cause)))
    }
  }

  /** Another look, since more bytes, a FIN or an error came. */
  onReadable(index: number, nowMs: number, outbox: Outbox<Head>): void {
    const pending = this.#pending.get(this.#records.fd(index))
    // Otherwise the descriptor was forgotten, and perhaps used anew, since the kernel gave this event out.
    if (!pending || pending.generation !== this.#records.tag(index)) return
    const seen = this.#look(pending.connection, pending, this.#records.sight(index), pending.seen)
    const { sight, verdict } = seen
    if (verdict.kind !== 'incomplete') {
      this.forget(pending)
      this.#settle(seen.connection, !pending.watched, verdict, sight, nowMs, outbox)
      return
    }
    if (pending.headerDue !== seen.headerDue) this.#goOn(pending, seen)
    if (pending.watched && pending.seen === 0 && sight.length > 0) {
      this.#wheel.set(pending, nowMs + this.#limits.headTimeoutMs)
    }
    if (!pending.widened && sight.length >= WIDEN_BYTES) {
      pending.widened = true
      this.#calls.gateWiden(pending.connection.fd, WIDEN_TIMES * this.#limits.headBytes)
    }
    pending.seen = sight.length
  }

  /** Who may not send the header is turned away before a byte is looked at. */
  #admitBalancer(flow: FlowKey, trusts: (flow: FlowKey) => boolean): ErrorCode | undefined {
    return trusts(flow) ? this.census.admitUnnamed(flow) : 'BATON_PROXY_UNTRUSTED'
  }

  /** One look: for the PROXY protocol header, where one is due, which is taken out of the queue, and then for the head. */
  #look(
    connection: Connection,
    { headerDue, readHead }: Expected<Head>,
    sight: Sight,
    from: number,
  ): Seen<Head> {
    const { headBytes } = this.#limits
    if (!headerDue) {
      return { connection, sight, headerDue, verdict: judge(sight, readHead, headBytes, from) }
    }
    const header = judgeHeader(sight, headBytes)
    if (header.kind !== 'head') return { connection, sight, headerDue, verdict: header }
    const { headerBytes, claimed } = header.head
    // What follows is the client's, and stays where it is.
    if (this.#calls.gateConsume(connection.fd, headerBytes) !== headerBytes) {
      return { connection, sight, headerDue, verdict: { kind: 'gone', reason: 'reset' } }
    }
    const named = { ...connection, claimed }
    const limit = this.census.name(connection.flow, claimed ?? connection.flow)
    const rest = behindHeader(sight, headerBytes)
    const verdict = limit === undefined ? judge(rest, readHead, headBytes, 0) : bad(limit, '')
    return { connection: named, sight: rest, headerDue: false, verdict }
  }

  /** The header has been taken out, and the head is not whole. */
  #goOn(pending: Pending<Head>, { connection, sight }: Seen<Head>): void {
    pending.connection = connection
    pending.headerDue = false
    if (sight.queuedBytes === sight.length) return
    // The queue held more than the look took in: there may be no other edge.
    this.#calls.gateRemove(this.#handle, connection.fd)
    this.#calls.gateAdd(this.#handle, connection.fd, pending.generation)
  }

  /** @throws Error with step and errno when it cannot be added to the epoll set; then nothing is kept */
  keep(connection: Connection, expected: Expected<Head>, timeoutMs: number): Pending<Head> {
    this.#generation = (this.#generation % 0x7fffffff) + 1
    const pending = new Pending(connection, expected, this.#generation)
    this.#calls.gateAdd(this.#handle, connection.fd, pending.generation)
    this.#pending.set(connection.fd, pending)
    this.#wheel.set(pending, connection.acceptedAtMs + timeoutMs)
    return pending
  }

  forget(pending: Pending<Head>): void {
    this.#wheel.delete(pending)
    this.#pending.delete(pending.connection.fd)
    this.#calls.gateRemove(this.#handle, pending.connection.fd)
  }

  /** Forgets all connections and gives their descriptors. */
  clear(): number[] {
    const pending = [...this.#pending.values()]
    for (const one of pending) {
      this.forget(one)
      if (!one.watched) this.census.release(one.connection.flow)
    }
    return pending.map(({ connection }) => connection.fd)
  }

  #settle(
    connection: Connection,
    counted: boolean,
    verdict: Exclude<Verdict<Head>, { kind: 'incomplete' }>,
    sight: Sight,
    nowMs: number,
    outbox: Outbox<Head>,
  ): void {
    if (verdict.kind === 'head') {
      outbox.arrive(connection, verdict.head, sight, nowMs)
      return
    }
    if (counted) this.census.release(connection.flow)
    if (verdict.kind === 'bad') outbox.reject(connection, verdict)
    else outbox.lose(connection, verdict.reason)
  }

  #expire(expired: readonly Pending<Head>[]): Outbox<Head> {
    const outbox = new Outbox<Head>()
    for (const pending of expired) {
      this.forget(pending)
      if (!pending.watched) this.census.release(pending.connection.flow)
      const verdict = pending.headerDue ? headerTimeout() : judgeTimeout(pending.seen)
      if (verdict.kind === 'bad') outbox.reject(pending.connection, verdict)
      else outbox.lose(pending.connection, verdict.reason)
    }
    return outbox
  }
}
