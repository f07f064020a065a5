import type { Server } from 'node:http'
import type { Duplex } from 'node:stream'
import { Gate, type RequestHead } from '../gate/index.js'
import type { Relay } from '../relay/index.js'
import { HttpSession, type SessionHost } from './http-session.js'
import { interceptRequests, type Placement } from './interception.js'
import type { Served } from './served.js'

export interface SessionsOptions {
  readonly limits: { readonly headBytes: number; readonly headTimeoutMs: number }
  /** For requests that belong to another pool and cannot be moved. */
  readonly relay: Relay
  /** Whose a request on this connection is. */
  place(served: Served, host: string | null, path: string): Placement
  /** Whether requests on this connection could belong elsewhere at all. */
  isShared(served: Served): boolean
  /** Begins to move a connection to the pool of its next request. */
  move(served: Served, pool: string): void
  draining(): boolean
  /** @param status 0 when there was no answer */
  onAnswered(status: number): void
  onMisplaced(outcome: 'relayed' | 'misdirected' | 'unroutable'): void
}

/** The HTTP connections of this agent, and the gate that sees their next heads first. */
export class Sessions {
  readonly #options: SessionsOptions
  readonly #gate: Gate
  readonly #servedOf = new WeakMap<object, Served>()
  readonly #watched = new Map<number, HttpSession>()
  readonly #host: SessionHost

  /** @throws BatonError BATON_GATE_* */
  constructor(options: SessionsOptions) {
    this.#options = options
    this.#gate = new Gate({
      limits: options.limits,
      onArrivals: (arrivals) => {
        for (const { fd, head, halfClosed } of arrivals) this.#take(fd)?.onHead(head, halfClosed)
      },
      onRejected: (rejected) => {
        for (const { fd } of rejected) this.#take(fd)?.onBadHead()
      },
      onGone: (gone) => {
        for (const { fd } of gone) this.#take(fd)?.onGone()
      },
    })
    this.#host = {
      watch: (session) => this.#watch(session),
      unwatch: (session) => {
        this.#watched.delete(session.socket.fd)
        this.#gate.unwatch(session.socket.fd)
      },
      isOwn: (session, host, path) => this.#place(session, host, path).kind !== 'other',
      move: (session, head) => this.#move(session, head),
      answered: (status) => options.onAnswered(status),
      get draining() {
        return options.draining()
      },
    }
  }

  /** @param readHead gives its first request; undefined where that is not known */
  begin(served: Served, readHead: () => RequestHead | undefined): void {
    this.#servedOf.set(served.socket, served)
    // Where every route leads here, there is nothing to look out for, and the gate would only cost time.
    const reader = this.#options.isShared(served) ? readHead : undefined
    served.session = new HttpSession(served.socket, this.#host, reader)
  }

  intercept(server: Server): () => void {
    return interceptRequests(server, {
      relay: this.#options.relay,
      sessionOf: (socket) => this.#servedOf.get(socket)?.session,
      place: (session, host, path) => this.#place(session, host, path),
      onMisplaced: (outcome) => this.#options.onMisplaced(outcome),
    })
  }

  /** A request of a connection that is no session is over. @param status 0 when there was no answer */
  answered(status: number): void {
    this.#options.onAnswered(status)
  }

  /** Whether the head of an answer is out on this socket, and its end is not. */
  answering(socket: Duplex): boolean {
    return this.#servedOf.get(socket)?.session?.midAnswer ?? false
  }

  destroy(): void {
    // Watched sockets belong to their net.Sockets, and are closed by these.
    for (const session of [...this.#watched.values()]) session.socket.destroy()
    this.#gate.destroy()
  }

  #take(fd: number): HttpSession | undefined {
    const session = this.#watched.get(fd)
    this.#watched.delete(fd)
    return session
  }

  #watch(session: HttpSession): boolean {
    const served = this.#servedOf.get(session.socket)
    if (served === undefined) return false
    try {
      // How long a connection may be idle is the server's own affair.
      this.#gate.watch(session.socket.fd, { name: served.listener, flow: served.flow }, 0)
    } catch {
      // No room in the epoll set: the server reads by itself, and what belongs elsewhere is relayed.
      return false
    }
    this.#watched.set(session.socket.fd, session)
    return true
  }

  #place(session: HttpSession, host: string | null, path: string): Placement {
    const served = this.#servedOf.get(session.socket)
    return served === undefined ? { kind: 'own' } : this.#options.place(served, host, path)
  }

  #move(session: HttpSession, head: RequestHead): void {
    const served = this.#servedOf.get(session.socket)
    const placement = this.#place(session, head.host, head.path)
    if (served === undefined || placement.kind === 'none') session.stay()
    else this.#options.move(served, placement.kind === 'other' ? placement.pool : served.pool)
  }
}
