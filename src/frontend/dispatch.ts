import type { ErrorCode } from '../errors/index.js'
import type { Arrival, Rejected } from '../gate/index.js'
import { type FlowKey, isIpv4Flow } from '../kernel/flow.js'
import { type AnswerStatus, rawAnswer } from '../relay/index.js'
import type { RouteHit, RouteTable, TlsRouteTable } from '../routing/index.js'
import { answerAndClose } from './answer.js'
import { type Connection, makeConnection } from './connection.js'
import { type Head, isTls } from './head.js'
import type { Pool, RelayReason } from './pool.js'
import type { Spliced } from './splicing.js'
import { alertOf, type TlsAlert, tlsAlert } from './tls-alert.js'

/** What a refused request or connection was, for the access log. */
export interface Refusal {
  readonly listener: string
  readonly flow: FlowKey
  /** Null of a TLS connection, which got the alert. */
  readonly status: number | null
  readonly alert: TlsAlert | null
  /** Of the answer. */
  readonly bytesOut: number
  readonly code: ErrorCode
  readonly head: Head | undefined
  readonly acceptedAtMs: number
}

export interface DispatchOptions {
  routes(): RouteTable
  tlsRoutes(): TlsRouteTable
  pool(name: string): Pool
  /** Whether clients of that listener speak TLS. */
  isTlsListener(name: string): boolean
  /** Connections with a backend chosen: freeze and offer them, all in one go. */
  handOff(connections: readonly Connection[]): void
  /** HTTP, by requests. */
  relay(fd: number, listener: string, flow: FlowKey, reason: RelayReason): void
  /** TLS, by bytes. */
  splice(fd: number, spliced: Spliced): void
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

  arrivals(arrivals: readonly Arrival<Head>[]): void {
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
  #choose(arrival: Arrival<Head>): Connection | undefined {
    const { fd, flow, listener, head } = arrival
    const route = this.#route(head)
    if (route === undefined) {
      this.#refuse(arrival, 404, isTls(head) ? 'BATON_NO_TLS_ROUTE' : 'BATON_NO_ROUTE')
      return undefined
    }
    const pool = this.#options.pool(route.pool)
    this.#options.routed(listener, pool.name)
    const ipv4 = isIpv4Flow(flow)
    const choice = this.#options.stopping()
      ? 'stopping'
      : arrival.halfClosed
        ? 'half_closed'
        : pool.chooseForHandoff(ipv4, [], isTls(head) ? 'bytes' : 'http')
    const origin = {
      fd,
      flow,
      listener,
      head,
      acceptedAtMs: arrival.acceptedAtMs,
      headAtMs: arrival.arrivedAtMs,
    }
    if (typeof choice !== 'string') {
      return makeConnection(origin, { route: route.index, pool, backend: choice, ipv4 })
    }
    if (!pool.canRelay) this.#refuse(arrival, 503, 'BATON_NO_BACKEND')
    else if (!isTls(head)) this.#options.relay(fd, listener, flow, choice)
    else this.#options.splice(fd, { ...origin, head, route: route.index, pool, reason: choice })
    return undefined
  }

  #route(head: Head): RouteHit | undefined {
    return isTls(head)
      ? this.#options.tlsRoutes().match(head.sni, head.alpn)
      : this.#options.routes().match(head.host, head.path)
  }

  rejected(rejected: readonly Rejected[]): void {
    for (const { fd, flow, listener, status, code, acceptedAtMs } of rejected) {
      // The gate counts it no more.
      const answer = this.#options.isTlsListener(listener)
        ? alertAnswer(code, undefined)
        : httpAnswer(isAnswerable(status) ? status : 400, code, false)
      answerAndClose(fd, answer.bytes)
      this.#tell({ listener, flow, code, head: undefined, acceptedAtMs }, answer)
    }
  }

  /** @param status where the client speaks HTTP */
  #refuse(arrival: Arrival<Head>, status: AnswerStatus, code: ErrorCode): void {
    const { fd, flow, listener, head, acceptedAtMs } = arrival
    const answer = isTls(head)
      ? alertAnswer(code, head.version)
      : httpAnswer(status, code, head.method === 'HEAD')
    answerAndClose(fd, answer.bytes, () => this.#options.release(flow))
    this.#tell({ listener, flow, code, head, acceptedAtMs }, answer)
  }

  #tell(refused: Omit<Refusal, 'status' | 'alert' | 'bytesOut'>, { bytes, status, alert }: Answer): void {
    this.#options.refused({ ...refused, status, alert, bytesOut: bytes.length })
  }
}

interface Answer {
  readonly bytes: Buffer
  readonly status: number | null
  readonly alert: TlsAlert | null
}

function httpAnswer(status: AnswerStatus, code: ErrorCode, head: boolean): Answer {
  return { bytes: rawAnswer(status, { code, head }), status, alert: null }
}

function alertAnswer(code: ErrorCode, version: number | undefined): Answer {
  const alert = alertOf(code)
  return { bytes: tlsAlert(alert, version), status: null, alert }
}
