import type { Protocol } from '../config/index.js'
import type { ErrorCode } from '../errors/index.js'
import type { Arrival, Rejected } from '../gate/index.js'
import { type FlowKey, isIpv4Flow } from '../kernel/flow.js'
import { type AnswerStatus, rawAnswer } from '../relay/index.js'
import type { RouteHit, RouteTable, TcpRouteTable, TlsRouteTable } from '../routing/index.js'
import { answerAndClose, resetAndClose } from './answer.js'
import { type Connection, makeConnection } from './connection.js'
import { type Head, isWhole, protocolOf } from './head.js'
import type { Pool, RelayReason } from './pool.js'
import type { Spliced } from './splicing.js'
import { alertOf, type TlsAlert, tlsAlert } from './tls-alert.js'

/** What a refused request or connection was, for the access log. */
export interface Refusal {
  readonly listener: string
  readonly flow: FlowKey
  /** Null where no HTTP is spoken: a TLS connection got the alert, a TCP connection RST. */
  readonly status: number | null
  readonly alert: TlsAlert | null
  /** Of the answer. */
  readonly bytesOut: number
  readonly code: ErrorCode
  readonly head: Head | undefined
  readonly acceptedAtMs: number
}

export interface DispatchOptions {
  readonly routes: { readonly http: RouteTable; readonly tls: TlsRouteTable; readonly tcp: TcpRouteTable }
  pool(name: string): Pool
  /** What clients of that listener speak. */
  protocolAt(listener: string): Protocol
  /** Connections with a backend chosen: freeze and offer them, all in one go. */
  handOff(connections: readonly Connection[]): void
  /** HTTP, by requests. */
  relay(fd: number, listener: string, flow: FlowKey, reason: RelayReason): void
  /** Anything else, by bytes. */
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
    const route = this.#route(arrival)
    if (route === undefined) {
      this.#refuse(arrival, 404, protocolOf(head) === 'tls' ? 'BATON_NO_TLS_ROUTE' : 'BATON_NO_ROUTE')
      return undefined
    }
    const pool = this.#options.pool(route.pool)
    this.#options.routed(listener, pool.name)
    const ipv4 = isIpv4Flow(flow)
    const choice = this.#options.stopping()
      ? 'stopping'
      : arrival.halfClosed
        ? 'half_closed'
        : pool.chooseForHandoff(ipv4, [], isWhole(head) ? 'bytes' : 'http')
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
    else if (!isWhole(head)) this.#options.relay(fd, listener, flow, choice)
    else this.#options.splice(fd, { ...origin, head, route: route.index, pool, reason: choice })
    return undefined
  }

  #route({ head, listener }: Arrival<Head>): RouteHit | undefined {
    const { routes } = this.#options
    if (!isWhole(head)) return routes.http.match(head.host, head.path)
    return head.kind === 'tls' ? routes.tls.match(head.sni, head.alpn) : routes.tcp.match(listener)
  }

  rejected(rejected: readonly Rejected[]): void {
    for (const { fd, flow, listener, status, code, acceptedAtMs } of rejected) {
      // The gate counts it no more.
      const answer = answerTo(this.#options.protocolAt(listener), code, {
        status: isAnswerable(status) ? status : 400,
      })
      end(fd, answer)
      this.#tell({ listener, flow, code, head: undefined, acceptedAtMs }, answer)
    }
  }

  /** @param status where the client speaks HTTP */
  #refuse(arrival: Arrival<Head>, status: AnswerStatus, code: ErrorCode): void {
    const { fd, flow, listener, head, acceptedAtMs } = arrival
    const answer = answerTo(protocolOf(head), code, { status, head })
    end(fd, answer, () => this.#options.release(flow))
    this.#tell({ listener, flow, code, head, acceptedAtMs }, answer)
  }

  #tell(refused: Omit<Refusal, 'status' | 'alert' | 'bytesOut'>, { bytes, status, alert }: Answer): void {
    this.#options.refused({ ...refused, status, alert, bytesOut: bytes?.length ?? 0 })
  }
}

interface Answer {
  /** Null: there is nothing that the client would understand. */
  readonly bytes: Buffer | null
  readonly status: number | null
  readonly alert: TlsAlert | null
}

function answerTo(
  protocol: Protocol,
  code: ErrorCode,
  { status, head }: { readonly status: AnswerStatus; readonly head?: Head },
): Answer {
  switch (protocol) {
    case 'http': {
      const method = head === undefined || isWhole(head) ? undefined : head.method
      return { bytes: rawAnswer(status, { code, head: method === 'HEAD' }), status, alert: null }
    }
    case 'tls': {
      const alert = alertOf(code)
      const version = head !== undefined && isWhole(head) && head.kind === 'tls' ? head.version : undefined
      return { bytes: tlsAlert(alert, version), status: null, alert }
    }
    case 'tcp':
      return { bytes: null, status: null, alert: null }
    default:
      return protocol satisfies never
  }
}

function end(fd: number, { bytes }: Answer, closed?: () => void): void {
  if (bytes !== null) {
    answerAndClose(fd, bytes, closed)
    return
  }
  resetAndClose(fd)
  closed?.()
}
