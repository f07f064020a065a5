import { isIP } from 'node:net'
import { BatonError } from '../errors/index.js'
import { type Endpoint, endpointText, type FlowKey } from '../kernel/flow.js'
import { type GateCalls, type GateHandle, gateCalls } from '../kernel/gate.js'
import { closeFd } from '../kernel/host.js'
import { peerWithin } from '../proxy-protocol/index.js'
import { Intake, type Source } from './intake.js'
import { kernelError } from './kernel-error.js'
import { gateLimits } from './limits.js'
import type { GateOptions, GateStats, ListenOptions, WatchTag } from './options.js'
import { Outbox, type Receivers } from './outbox.js'
import { Records } from './records.js'
import { type RequestHead, readRequestHead } from './request-head.js'

/** How long accepting rests when the process has no descriptor left. */
const ACCEPT_REST_MS = 50

/**
 * Accepts connections and looks at what they ask, without reading it, until the head is whole.
 *
 * Each connection leaves once, by `onArrivals`, `onRejected` or `onGone`, and its descriptor goes with it: the receiver
 * closes it. A connection accepted here counts against the limits until it is rejected or gone; one that arrived,
 * until `release(flow)`. The gate keeps the process alive until it is closed, as a server does.
 *
 * @typeParam Extra heads that other readers than {@link readRequestHead} give, where listeners have such
 */
export class Gate<Extra = never> {
  readonly #receivers: Receivers<RequestHead | Extra>
  readonly #calls: GateCalls
  readonly #records: Records
  readonly #handle: GateHandle
  readonly #intake: Intake<RequestHead | Extra>
  /** By native index. */
  readonly #listeners: Source<RequestHead | Extra>[] = []
  readonly #ended: Promise<void>
  #end: () => void = () => {}
  /** Listeners that closing has closed. */
  #unlistened = 0
  #phase: 'open' | 'closing' | 'closed' = 'open'
  #delivering = false
  #paused = false
  #rest: NodeJS.Timeout | undefined
  #accepted = 0
  #acceptRests = 0

  /** @throws BatonError BATON_GATE_LIMITS, BATON_GATE_OPEN */
  constructor(options: GateOptions<RequestHead | Extra>) {
    this.#receivers = options
    const limits = gateLimits(options.limits ?? {})
    this.#calls = gateCalls()
    this.#records = new Records(this.#calls.gateLayout, limits.headBytes)
    this.#ended = new Promise((resolve) => {
      this.#end = resolve
    })
    const { words, arena } = this.#records
    try {
      this.#handle = this.#calls.gateOpen(words, arena, limits.headBytes, (count) => this.#onBatch(count))
    } catch (cause) {
      throw kernelError(cause, 'BATON_GATE_OPEN', 'epoll')
    }
    this.#intake = new Intake(this.#calls, this.#handle, this.#records, limits, (outbox) =>
      this.#deliver(outbox),
    )
  }

  get stats(): GateStats {
    return {
      accepted: this.#accepted,
      pending: this.#intake.size,
      counted: this.#intake.census.total,
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
      this.#listeners[listener.index] = {
        name,
        readHead: options.readHead ?? readRequestHead,
        watched: false,
        headerDue: options.proxyFrom !== undefined,
        trusts: options.proxyFrom && peerWithin(options.proxyFrom),
      }
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
    if (this.#intake.get(fd))
      throw new BatonError('BATON_GATE_WATCH', { detail: `${fd} is watched already.` })
    const { flow, name: listener, readHead = readRequestHead } = tag
    const connection = { fd, flow, listener, acceptedAtMs: performance.now(), claimed: null }
    const expected = { headerDue: false, readHead, watched: true }
    try {
      this.#intake.keep(connection, expected, timeoutMs || Number.POSITIVE_INFINITY)
    } catch (cause) {
      throw kernelError(cause, 'BATON_GATE_WATCH', tag.name)
    }
  }

  /** Takes a watched connection back. False: it has been reported, or was never watched. */
  unwatch(fd: number): boolean {
    const pending = this.#intake.get(fd)
    if (!pending?.watched) return false
    this.#intake.forget(pending)
    this.#advance()
    return true
  }

  /** A connection that arrived has ended, or is another host's from now on: it counts no more. */
  release(flow: FlowKey): void {
    this.#intake.census.release(flow)
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
   * after `headTimeoutMs` at most, save watched connections, which have their own deadlines.
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
    const descriptors = this.#intake.clear()
    this.#shut()
    for (const fd of descriptors) closeFd(fd)
  }

  #mustBeOpen(): void {
    if (this.#phase !== 'open') throw new BatonError('BATON_GATE_CLOSED')
  }

  #onBatch(count: number): void {
    const { accepted, readable } = this.#calls.gateLayout
    const nowMs = performance.now()
    const outbox = new Outbox<RequestHead | Extra>()
    for (let index = 0; index < count; index++) {
      const event = this.#records.event(index)
      if (event === accepted) {
        this.#accepted++
        this.#intake.onAccepted(index, this.#listeners[this.#records.tag(index)]!, nowMs, outbox)
      } else if (event === readable) {
        this.#intake.onReadable(index, nowMs, outbox)
      } else {
        this.#restFromAccepting()
      }
    }
    this.#deliver(outbox)
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
    while (this.#phase === 'closing' && this.#unlistened < this.#listeners.length) {
      this.#calls.gateUnlisten(this.#handle, this.#unlistened++, true)
    }
    if (this.#phase === 'closing' && this.#intake.size === 0) this.#shut()
  }

  #shut(): void {
    this.#phase = 'closed'
    clearTimeout(this.#rest)
    this.#calls.gateClose(this.#handle)
    this.#end()
  }

  /** The kernel's side has stopped accepting, since a listener that is ready and cannot be served would spin. */
  #restFromAccepting(): void {
    this.#acceptRests++
    this.#rest ??= setTimeout(() => {
      this.#rest = undefined
      if (this.#phase === 'open' && !this.#paused) this.#calls.gateAccepting(this.#handle, true)
    }, ACCEPT_REST_MS).unref()
  }
}
