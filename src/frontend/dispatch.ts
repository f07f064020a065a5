import type { ErrorCode } from '../errors/index.js'
import type { Arrival, Rejected } from '../gate/index.js'
import { type FlowKey, isIpv4Flow } from '../kernel/flow.js'
import type { RouteHit } from '../routing/index.js'
import type { ClientFields } from '../telemetry/index.js'
import { answerOrReset } from './answer.js'
import { type Connection, makeConnection } from './connection.js'
import { type Head, isWhole, speaks } from './head.js'
import type { Pool, RelayReason } from './pool.js'
import type { RefusalAnswer, Refusals } from './refusal.js'
import type { Relayed } from './relays.js'
import type { Spliced } from './splicing.js'
import type { TlsAlert } from './tls-alert.js'

/** What a refused request or connection was, for the access log. */
export interface Refusal {
  readonly listener: string
  readonly flow: FlowKey
  readonly claimed: FlowKey | null
  /** Null where no HTTP is spoken: a TLS connection got the alert, a TCP connection RST. */
  readonly status: number | null
  /** Null unless the client speaks TLS. */
  readonly alert: TlsAlert | null
  /** Of the answer. */
  readonly bytesOut: number
  readonly code: ErrorCode
  readonly head: Head | undefined
  readonly clientFields?: ClientFields | undefined
  readonly acceptedAtMs: number
}

export interface DispatchOptions {
  route(head: Head, listener: string): RouteHit | undefined
  pool(name: string): Pool
  readonly refusals: Pick<Refusals, 'answer'>
  /** Connections with a backend chosen: freeze and offer them, all in one go. */
  handOff(connections: readonly Connection[]): void
  /** HTTP, by requests. */
  relay(fd: number, relayed: Relayed, reason: RelayReason): void
  /** Anything else, by bytes. */
  splice(fd: number, spliced: Spliced): void
  /** Left out where the access log wants nothing but the head. */
  readonly clientFields?: ((bytes: Buffer, head: Head) => ClientFields | undefined) | undefined
  refused(refusal: Refusal): void
  /** A whole head that a route took. */
  routed(listener: string, pool: string): void
  release(flow: FlowKey): void
  /** True while the frontend stops: nothing new is offered. */
  stopping(): boolean
}

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
    const { fd, flow, listener, claimed, head } = arrival
    const route = this.#options.route(head, listener)
    if (route === undefined) {
      this.#refuse(arrival, 404, noRoute(head))
      return undefined
    }
    const pool = this.#options.pool(route.pool)
    this.#options.routed(listener, pool.name)
    const ipv4 = isIpv4Flow(flow)
    const choice = this.#options.stopping()
      ? 'stopping'
      : arrival.halfClosed
        ? 'half_closed'
        : pool.chooseForHandoff(ipv4, [], speaks(head))
    const origin = {
      fd,
      flow,
      listener,
      claimed,
      head,
      clientFields: this.#options.clientFields?.(arrival.bytes, head),
      acceptedAtMs: arrival.acceptedAtMs,
      headAtMs: arrival.arrivedAtMs,
    }
    if (typeof choice !== 'string') {
      return makeConnection(origin, { route: route.index, pool, backend: choice, ipv4 })
    }
    if (!pool.canRelay) this.#refuse(arrival, 503, 'BATON_NO_BACKEND')
    else if (!isWhole(head)) this.#options.relay(fd, origin, choice)
    else this.#options.splice(fd, { ...origin, head, route: route.index, pool, reason: choice })
    return undefined
  }

  rejected(rejected: readonly Rejected[]): void {
    for (const { fd, flow, listener, claimed, status, code, acceptedAtMs } of rejected) {
      // The gate counts it no more.
      const answer = this.#options.refusals.answer(listener, code, status, undefined)
      answerOrReset(fd, answer.bytes)
      this.#tell({ listener, flow, claimed, code, head: undefined, acceptedAtMs }, answer)
    }
  }

  /** @param status where the client speaks HTTP */
  #refuse(arrival: Arrival<Head>, status: number, code: ErrorCode): void {
    const { fd, flow, listener, claimed, head, acceptedAtMs } = arrival
    const answer = this.#options.refusals.answer(listener, code, status, head)
    answerOrReset(fd, answer.bytes, () => this.#options.release(flow))
    const clientFields = this.#options.clientFields?.(arrival.bytes, head)
    this.#tell({ listener, flow, claimed, code, head, clientFields, acceptedAtMs }, answer)
  }

  #tell(refused: Omit<Refusal, keyof RefusalAnswer | 'bytesOut'>, answer: RefusalAnswer): void {
    const { status, alert, bytes } = answer
    this.#options.refused({ ...refused, status, alert, bytesOut: bytes?.length ?? 0 })
  }
}

function noRoute(head: Head): ErrorCode {
  return isWhole(head) && head.kind === 'tls' ? 'BATON_NO_TLS_ROUTE' : 'BATON_NO_ROUTE'
}
