import { isIP } from 'node:net'
import { BatonError } from '../errors/index.js'
import { type Endpoint, endpointText } from '../kernel/flow.js'
import { type GateCalls, type GateHandle, type GateLayout, gateCalls } from '../kernel/gate.js'
import { closeFd } from '../kernel/host.js'
import { Census } from './census.js'
import { DeadlineWheel } from './deadline-wheel.js'
import { bad, type HeadReader } from './head-result.js'
import { judge, judgeTimeout, type Sight, type Verdict } from './judge.js'
import { kernelError } from './kernel-error.js'
import { type GateLimits, gateLimits } from './limits.js'
import type { GateOptions, GateStats, ListenOptions, WatchTag } from './options.js'
import { Outbox, type Receivers } from './outbox.js'
import { type Connection, Pending } from './pending.js'
import { Records } from './records.js'
import { type RequestHead, readRequestHead } from './request-head.js'

const TICK_MS = 100
/** How long accepting rests when the process has no descriptor left. */
const ACCEPT_REST_MS = 50
/** Unread bytes from which on the initial receive window could hold a head up. */
const WIDEN_BYTES = 16 * 1024
/** The kernel says zero window already while a sixteenth, or one segment, is free: __tcp_select_window. */
const WIDEN_TIMES = 2

/**
 * Accepts connections and looks at what they ask, without reading it, until the head is whole.
 *
 * Each connection leaves once, by `onArrivals`, `onRejected` or `onGone`, and its descriptor goes with it: the receiver
 * closes it. A connection accepted here counts against the limits until it is rejected or gone; one that arrived,
 * until `release(flow)`.
 *
 * @typeParam Extra heads that other readers than {@link readRequestHead} give, where listeners have such
 */
export class Gate<Extra = never> {
  readonly #receivers: Receivers<RequestHead | Extra>
  readonly #limits: GateLimits
  readonly #calls: GateCalls
  readonly #layout: GateLayout
  readonly #records: Records
  readonly #handle: GateHandle
  /** By native index. */
  readonly #listeners: { readonly name: string; readonly readHead: HeadReader<RequestHead | Extra> }[] = []
  readonly #pending = new Map<number, Pending<RequestHead | Extra>>()
  readonly #wheel: DeadlineWheel<Pending<RequestHead | Extra>>
  readonly #census: Census
  readonly #ended: Promise<void>
  #end: () => void = () => {}
  /** Listeners that closing has closed. */
  #unlistened = 0
  #phase: 'open' | 'closing' | 'closed' = 'open'
  #delivering = false
  #paused = false
  #rest: NodeJS.Timeout | undefined
  #generation = 0
  #accepted = 0
  #acceptRests = 0

  /** @throws BatonError BATON_GATE_LIMITS, BATON_GATE_OPEN */
  constructor(options: GateOptions<RequestHead | Extra>) {
    this.#receivers = options
    this.#limits = gateLimits(options.limits ?? {})
    this.#calls = gateCalls()
    this.#layout = this.#calls.gateLayout
    this.#records = new Records(this.#layout, this.#limits.headBytes)
    this.#census = new Census(this.#limits.maxConnections, this.#limits.maxConnectionsPerClient)
    this.#wheel = new DeadlineWheel(TICK_MS, (expired) => this.#onExpired(expired))
    this.#ended = new Promise((resolve) => {
      this.#end = resolve
    })
    try {
      const onBatch = (count: number) => this.#onBatch(count)
      this.#handle = this.#calls.gateOpen(
        this.#records.words,
        this.#records.arena,
        this.#limits.headBytes,
        onBatch,
      )
    } catch (cause) {
      throw kernelError(cause, 'BATON_GATE_OPEN', 'epoll')
    }
  }

  get stats(): GateStats {
    return {
      accepted: this.#accepted,
      pending: this.#pending.size,
      counted: this.#census.total,
      acceptRests: this.#acceptRests,
    }
  }

  /**
   * Listens in the network namespace in which it is called. SO_REUSEPORT is set: several processes of one user may
   * listen on one address and share its connections.
   *
   * @returns where it listens, with the port that the kernel chose for 0
   * @throws BatonError BATON_GATE_ADDRESS, _ADDRESS_IN_USE, _ADDRESS_NOT_LOCAL, _LISTEN_DENIED, _LISTEN, _CLOSED
   */
  listen(options: ListenOptions<RequestHead | Extra>): Endpoint {
    this.#mustBeOpen()
    const { name, address, port, backlog = 4096, deferAcceptSeconds = 5 } = options
    if (isIP(address) === 0 || address.includes('%') || !Number.isInteger(port) || port < 0 || port > 65535) {
      throw new BatonError('BATON_GATE_ADDRESS', { detail: `${name}: ${address}, ${port}.` })
    }
    try {
      const listener = this.#calls.gateListen(this.#handle, address, port, backlog, deferAcceptSeconds)
      this.#listeners[listener.index] = { name, readHead: options.readHead ?? readRequestHead }
      return { address, port: listener.port }
    } catch (cause) {
      throw kernelError(cause, 'BATON_GATE_LISTEN', `${name}, ${endpointText({ address, port })}`)
    }
  }

  /**
   * Waits for the next head of a connection that exists, in place of its owner, who must not read meanwhile. Reports
   * later in any case, even if the head is there already.
   *
   * @param timeoutMs until the first byte; then the head has `headTimeoutMs` as at a listener. 0 waits for ever.
   * @throws BatonError BATON_GATE_WATCH (the descriptor is still the caller's), BATON_GATE_CLOSED
   */
  watch(fd: number, tag: WatchTag<RequestHead | Extra>, timeoutMs: number): void {
    this.#mustBeOpen()
    if (this.#pending.has(fd))
      throw new BatonError('BATON_GATE_WATCH', { detail: `${fd} is watched already.` })
    const connection = { fd, flow: tag.flow, listener: tag.name, acceptedAtMs: performance.now() }
    try {
      this.#keep(connection, tag.readHead ?? readRequestHead, true, timeoutMs || Number.POSITIVE_INFINITY)
    } catch (cause) {
      throw kernelError(cause, 'BATON_GATE_WATCH', tag.name)
    }
  }

  /** Takes a watched connection back. False: it has been reported, or was never watched. */
  unwatch(fd: number): boolean {
    const pending = this.#pending.get(fd)
    if (!pending?.watched) return false
    this.#forget(pending)
    this.#advance()
    return true
  }

  /** A connection that arrived has ended, or is another host's from now on: it counts no more. */
  release(flow: Buffer): void {
    this.#census.release(flow)
  }

  /** Stops accepting; clients wait in the kernel's queue. */
  pause(): void {
    this.#paused = true
    if (this.#phase === 'open') this.#calls.gateAccepting(this.#handle, false)
  }

  resume(): void {
    this.#paused = false
    if (this.#phase === 'open') this.#calls.gateAccepting(this.#handle, true)
  }

  /**
   * Takes what the kernel has accepted, stops listening, and lets pending heads finish. Resolves when none is left:
   * after `headTimeoutMs` at most, save watched connections without a deadline.
   */
  close(): Promise<void> {
    if (this.#phase === 'open') {
      this.#phase = 'closing'
      this.#calls.gateAccepting(this.#handle, true)
      this.#advance()
    }
    return this.#ended
  }

  /** Closes listeners and pending connections, watched ones too, without a report. */
  destroy(): void {
    if (this.#phase === 'closed') return
    const pending = [...this.#pending.values()]
    for (const one of pending) {
      this.#forget(one)
      if (!one.watched) this.#census.release(one.connection.flow)
    }
    this.#shut()
    for (const one of pending) closeFd(one.connection.fd)
  }

  #mustBeOpen(): void {
    if (this.#phase !== 'open') throw new BatonError('BATON_GATE_CLOSED')
  }

  #onBatch(count: number): void {
    const { accepted, readable } = this.#layout
    const nowMs = performance.now()
    const outbox = new Outbox<RequestHead | Extra>()
    for (let index = 0; index < count; index++) {
      const event = this.#records.event(index)
      if (event === accepted) this.#onAccepted(index, nowMs, outbox)
      else if (event === readable) this.#onReadable(index, nowMs, outbox)
      else this.#restFromAccepting()
    }
    this.#deliver(outbox)
  }

  #onAccepted(index: number, nowMs: number, outbox: Outbox<RequestHead | Extra>): void {
    this.#accepted++
    const listener = this.#listeners[this.#records.tag(index)]!
    const flow = this.#records.flow(index)
    const connection = { fd: this.#records.fd(index), flow, listener: listener.name, acceptedAtMs: nowMs }
    const limit = this.#census.admit(flow)
    if (limit) {
      outbox.reject(connection, bad(limit, ''))
      return
    }
    const sight = this.#records.sight(index)
    const verdict = judge(sight, listener.readHead, this.#limits.headBytes, 0)
    if (verdict.kind !== 'incomplete') {
      this.#settle(connection, true, verdict, sight, nowMs, outbox)
      return
    }
    try {
      this.#keep(connection, listener.readHead, false, this.#limits.headTimeoutMs).seen = sight.length
    } catch (cause) {
      // The epoll set has no room: to the client that is what a limit is.
      this.#census.release(flow)
      outbox.reject(connection, bad('BATON_GATE_FULL', String(cause)))
    }
  }

  #onReadable(index: number, nowMs: number, outbox: Outbox<RequestHead | Extra>): void {
    const pending = this.#pending.get(this.#records.fd(index))
    // Otherwise the descriptor was forgotten, and perhaps used anew, since the kernel gave this event out.
    if (!pending || pending.generation !== this.#records.tag(index)) return
    const sight = this.#records.sight(index)
    const verdict = judge(sight, pending.readHead, this.#limits.headBytes, pending.seen)
    if (verdict.kind !== 'incomplete') {
      this.#forget(pending)
      this.#settle(pending.connection, !pending.watched, verdict, sight, nowMs, outbox)
      return
    }
    if (pending.watched && pending.seen === 0 && sight.length > 0) {
      this.#wheel.set(pending, nowMs + this.#limits.headTimeoutMs)
    }
    if (!pending.widened && sight.length >= WIDEN_BYTES) {
      pending.widened = true
      this.#calls.gateWiden(pending.connection.fd, WIDEN_TIMES * this.#limits.headBytes)
    }
    pending.seen = sight.length
  }

  #settle(
    connection: Connection,
    counted: boolean,
    verdict: Exclude<Verdict<RequestHead | Extra>, { kind: 'incomplete' }>,
    sight: Sight,
    nowMs: number,
    outbox: Outbox<RequestHead | Extra>,
  ): void {
    if (verdict.kind === 'head') {
      outbox.arrive(connection, verdict.head, sight, nowMs)
      return
    }
    if (counted) this.#census.release(connection.flow)
    if (verdict.kind === 'bad') outbox.reject(connection, verdict)
    else outbox.lose(connection, verdict.reason)
  }

  #onExpired(expired: Pending<RequestHead | Extra>[]): void {
    const outbox = new Outbox<RequestHead | Extra>()
    for (const pending of expired) {
      this.#forget(pending)
      const verdict = judgeTimeout(pending.seen)
      if (!pending.watched) this.#census.release(pending.connection.flow)
      if (verdict.kind === 'bad') outbox.reject(pending.connection, verdict)
      else outbox.lose(pending.connection, verdict.reason)
    }
    this.#deliver(outbox)
  }

  #keep(
    connection: Connection,
    readHead: HeadReader<RequestHead | Extra>,
    watched: boolean,
    timeoutMs: number,
  ) {
    this.#generation = (this.#generation % 0x7fffffff) + 1
    const pending = new Pending(connection, readHead, this.#generation, watched)
    this.#calls.gateAdd(this.#handle, connection.fd, pending.generation)
    this.#pending.set(connection.fd, pending)
    this.#wheel.set(pending, connection.acceptedAtMs + timeoutMs)
    return pending
  }

  #forget(pending: Pending<RequestHead | Extra>): void {
    this.#wheel.delete(pending)
    this.#pending.delete(pending.connection.fd)
    this.#calls.gateRemove(this.#handle, pending.connection.fd)
  }

  #deliver(outbox: Outbox<RequestHead | Extra>): void {
    const outer = this.#delivering
    this.#delivering = true
    try {
      outbox.deliver(this.#receivers)
    } finally {
      this.#delivering = outer
      this.#advance()
    }
  }

  /** Goes on with closing. Not inside a delivery, whose bytes taking more connections would overwrite. */
  #advance(): void {
    if (this.#delivering) return
    while (this.#phase === 'closing' && this.#listeners.length > this.#unlistened) {
      this.#calls.gateUnlisten(this.#handle, this.#unlistened++, true)
    }
    if (this.#phase === 'closing' && this.#pending.size === 0) this.#shut()
  }

  #shut(): void {
    this.#phase = 'closed'
    clearTimeout(this.#rest)
    this.#wheel.stop()
    this.#calls.gateClose(this.#handle)
    this.#end()
  }

  #restFromAccepting(): void {
    this.#acceptRests++
    this.#rest ??= setTimeout(() => {
      this.#rest = undefined
      if (this.#phase === 'open' && !this.#paused) this.#calls.gateAccepting(this.#handle, true)
    }, ACCEPT_REST_MS).unref()
  }
}
