import type { ErrorCode } from '../errors/index.js'
import type { Arrival, Rejected, RequestHead } from '../gate/index.js'
import type { FlowKey } from '../kernel/flow.js'
import { type AnswerStatus, rawAnswer } from '../relay/index.js'
import type { RouteTable } from '../routing/index.js'
import { answerAndClose } from './answer.js'
import { type Connection, isIpv4Flow, makeConnection } from './connection.js'
import type { Pool, RelayReason } from './pool.js'

/** What a refused request was, for the access log. */
export interface Refusal {
  readonly listener: string
  readonly flow: FlowKey
  readonly status: number
  /** Of the answer. */
  readonly bytesOut: number
  readonly code: ErrorCode
  readonly head: RequestHead | undefined
  readonly acceptedAtMs: number
}

export interface DispatchOptions {
  routes(): RouteTable
  pool(name: string): Pool
  /** Connections with a backend chosen: freeze and offer them, all in one go. */
  handOff(connections: readonly Connection[]): void
  relay(fd: number, listener: string, flow: FlowKey, reason: RelayReason): void
  refused(refusal: Refusal): void
  /** A whole head that a route took. */
  routed(listener: string, pool: string): void
  release(flow: FlowKey): void
  /** True while the frontend stops: nothing new is offered. */
  stopping(): boolean
}

const answerable = new Set<number>([400, 404, 408, 413, 414, 421, 429, 431, 500, 501, 502, 503, 504, 505])
const isAnswerable = (status: number): status is AnswerStatus => answerable.has(status)

/** Whole heads in; each connection goes to exactly one of: handoff, relay, error answer. */
export class Dispatch {
  readonly #options: DispatchOptions

  constructor(options: DispatchOptions) {
    this.#options = options
  }

  arrivals(arrivals: readonly Arrival<RequestHead>[]): void {
    const chosen: Connection[] = []
    for (const arrival of arrivals) {
      const connection = this.#choose(arrival)
      if (connection === undefined) continue
      // Counts when the next one of this batch is chosen for; from its offer on the handoff counts it.
      connection.backend.inFlight++
      chosen.push(connection)
    }
    for (const { backend } of chosen) backend.inFlight--
    if (chosen.length > 0) this.#options.handOff(chosen)
  }

  /** A connection with its backend, or undefined when it went another way. */
  #choose(arrival: Arrival<RequestHead>): Connection | undefined {
    const { fd, flow, listener, head } = arrival
    const route = this.#options.routes().match(head.host, head.path)
    if (route === undefined) {
      this.#answer(arrival, 404, 'BATON_NO_ROUTE')
      return undefined
    }
    const pool = this.#options.pool(route.pool)
    this.#options.routed(listener, pool.name)
    const ipv4 = isIpv4Flow(flow)
    const choice = this.#options.stopping()
      ? 'stopping'
      : arrival.halfClosed
        ? 'half_closed'
        : pool.chooseForHandoff(ipv4, [])
    if (typeof choice === 'string') {
      if (pool.canRelay) this.#options.relay(fd, listener, flow, choice)
      else this.#answer(arrival, 503, 'BATON_NO_BACKEND')
      return undefined
    }
    const origin = {
      fd,
      flow,
      listener,
      head,
      acceptedAtMs: arrival.acceptedAtMs,
      headAtMs: arrival.arrivedAtMs,
    }
    return makeConnection(origin, { route: route.index, pool, backend: choice, ipv4 })
  }

  rejected(rejected: readonly Rejected[]): void {
    for (const { fd, flow, listener, status, code, acceptedAtMs } of rejected) {
      // The gate counts it no more.
      const bytes = rawAnswer(isAnswerable(status) ? status : 400, { code })
      answerAndClose(fd, bytes)
      const bytesOut = bytes.length
      this.#options.refused({ listener, flow, status, code, head: undefined, bytesOut, acceptedAtMs })
    }
  }

  #answer(arrival: Arrival<RequestHead>, status: AnswerStatus, code: ErrorCode): void {
    const { fd, flow, listener, head, acceptedAtMs } = arrival
    const bytes = rawAnswer(status, { code, head: head.method === 'HEAD' })
    answerAndClose(fd, bytes, () => this.#options.release(flow))
    this.#options.refused({ listener, flow, status, code, head, bytesOut: bytes.length, acceptedAtMs })
  }
}
