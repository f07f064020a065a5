import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { endpointText, type FlowKey } from '../kernel/flow.js'
import {
  answer,
  claimPeer,
  parserStatus,
  type Relay,
  type RelayResult,
  rawAnswer,
  socketOptions,
} from '../relay/index.js'
import type { ClientFields } from '../telemetry/index.js'
import type { Backend } from './backend.js'
import { clientFieldsOf } from './client-fields.js'
import type { Pool, RelayReason } from './pool.js'

/** Where a relayed request goes. */
export interface RelayRoute {
  readonly route: number
  readonly pool: Pool
}

/** One relayed request, or a connection that was relayed whole, when it is over. */
export interface RelayedRequest {
  readonly listener: string
  /** ADDRESS:PORT. */
  readonly client: string
  /** The balancer in front, where it says who the client is; null without one. */
  readonly via: string | null
  readonly vip: string
  /** Null where no request was read. */
  readonly method: string | null
  readonly path: string | null
  readonly host: string | null
  readonly route: number | null
  readonly pool: string | null
  readonly backend: string | null
  readonly reason: RelayReason
  /** 0 where unknown. */
  readonly status: number
  readonly bytesIn: number
  readonly bytesOut: number
  readonly startedAtMs: number
  /** A code, or who broke it off; null when it ended well. */
  readonly error: string | null
  readonly clientFields?: ClientFields | undefined
}

export interface RelayingOptions {
  readonly relay: Relay
  /** Undefined: no route. */
  findRoute(host: string | null, path: string): RelayRoute | undefined
  /** Undefined: the request's target or Host makes no sense. */
  readPlace(request: IncomingMessage): { host: string | null; path: string } | undefined
  onRequest(done: RelayedRequest): void
  readonly headersTimeoutMs: number
  readonly keepAliveTimeoutMs: number
  readonly maxHeadBytes: number
}

/** A connection to relay. */
export interface Taking {
  readonly listener: string
  readonly reason: RelayReason
  /** Who a balancer in front says the client is; null without one. */
  readonly claimed: FlowKey | null
  readonly release: () => void
}

interface Session {
  readonly listener: string
  readonly reason: RelayReason
  readonly via: string | null
  readonly release: () => void
  bytesRead: number
  bytesWritten: number
  /** Requests that came, and those that are over. The first is there when the connection comes. */
  came: number
  over: number
}

const notFound: RelayResult = { status: 404, target: null, error: null }

const isIdle = ({ came, over }: Session) => came > 0 && came === over

/**
 * The classical way, for what cannot be handed over: an HTTP server that nobody can connect to gets the connection,
 * and each request goes to a backend of its own route by a second connection.
 */
export class Relaying {
  readonly #options: RelayingOptions
  readonly #server: Server
  readonly #sessions = new Map<Socket, Session>()
  /** Requests whose end has not been told yet. */
  readonly #requests = new Set<Promise<void>>()
  #draining = false

  constructor(options: RelayingOptions) {
    this.#options = options
    this.#server = createServer({
      headersTimeout: options.headersTimeoutMs,
      keepAliveTimeout: options.keepAliveTimeoutMs,
      // A long upload is not an error.
      requestTimeout: 0,
      maxHeaderSize: options.maxHeadBytes,
      insecureHTTPParser: false,
    })
    // Node sets up its check for late heads when a server begins to listen; without it headersTimeout means nothing.
    this.#server.emit('listening')
    // A client may end its side after its last request and still wants the answer (RFC 9112, 9.6).
    Object.assign(this.#server, { httpAllowHalfOpen: true })
    this.#server.on('request', (request, response) => this.#track(this.#request(request, response, false)))
    this.#server.on('checkContinue', (request, response) =>
      this.#track(this.#request(request, response, true)),
    )
    this.#server.on('upgrade', (request, socket, head) => this.#track(this.#upgrade(request, socket, head)))
    this.#server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => {
      const session = this.#sessions.get(socket)
      // In the midst of an answer another one would pass for its end.
      if (socket.writable && session?.came === session?.over) socket.end(rawAnswer(parserStatus(error.code)))
      else socket.resetAndDestroy()
    })
  }

  /** Connections that are relayed now. */
  get size(): number {
    return this.#sessions.size
  }

  /** Takes a live connection whose request head is still unread. */
  take(fd: number, how: Taking): void {
    const { listener, reason, claimed, release } = how
    const socket = new Socket(socketOptions(fd, true))
    socket.setNoDelay(true)
    const via = claimed === null ? null : peerText(socket.remoteAddress, socket.remotePort)
    if (claimed !== null) claimPeer(socket, claimed)
    this.#sessions.set(socket, {
      ...{ listener, reason, via, release },
      ...{ bytesRead: 0, bytesWritten: 0, came: 0, over: 0 },
    })
    socket.once('close', () => {
      this.#sessions.delete(socket)
      release()
    })
    this.#server.emit('connection', socket)
  }

  async #request(
    request: IncomingMessage,
    response: ServerResponse,
    expectsContinue: boolean,
  ): Promise<void> {
    const { socket } = request
    const session = this.#begin(socket)
    if (session === undefined) return
    // Not before its last byte has gone out.
    response.once('close', () => this.#end(socket, session))
    const startedAtMs = performance.now()
    if (this.#draining) response.setHeader('connection', 'close')
    const route = this.#route(request)
    if (route === undefined) {
      answer(response, 404, { head: request.method === 'HEAD' })
      this.#done(session, request, undefined, undefined, notFound, startedAtMs)
      return
    }
    const backends = route.pool.chooseForRelay()
    const [first] = backends
    if (first !== undefined) first.relayed++
    try {
      const result = await this.#options.relay.request(request, response, addresses(backends), {
        expectsContinue,
      })
      this.#done(session, request, route, served(backends, result), result, startedAtMs)
    } finally {
      if (first !== undefined) first.relayed--
    }
  }

  async #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const session = this.#begin(request.socket)
    if (session === undefined) return
    const startedAtMs = performance.now()
    const route = this.#route(request)
    if (route === undefined) {
      socket.end(rawAnswer(404))
      this.#end(request.socket, session)
      this.#done(session, request, undefined, undefined, notFound, startedAtMs)
      return
    }
    const backends = route.pool.chooseForRelay()
    const [first] = backends
    if (first !== undefined) first.relayed++
    try {
      const result = await this.#options.relay.upgrade(request, socket, head, addresses(backends))
      this.#done(session, request, route, served(backends, result), result, startedAtMs)
    } finally {
      this.#end(request.socket, session)
      if (first !== undefined) first.relayed--
    }
  }

  #track(request: Promise<void>): void {
    this.#requests.add(request)
    void request.finally(() => this.#requests.delete(request))
  }

  /** Undefined when the socket is gone already. */
  #begin(socket: Socket): Session | undefined {
    const session = this.#sessions.get(socket)
    if (session !== undefined) session.came++
    return session
  }

  #end(socket: Socket, session: Session): void {
    session.over++
    if (this.#draining && isIdle(session)) socket.destroySoon()
  }

  #route(request: IncomingMessage): RelayRoute | undefined {
    const place = this.#options.readPlace(request)
    return place === undefined ? undefined : this.#options.findRoute(place.host, place.path)
  }

  #done(
    session: Session,
    request: IncomingMessage,
    route: RelayRoute | undefined,
    backend: Backend | undefined,
    result: RelayResult,
    startedAtMs: number,
  ): void {
    const { socket } = request
    const bytesIn = socket.bytesRead - session.bytesRead
    const bytesOut = socket.bytesWritten - session.bytesWritten
    session.bytesRead = socket.bytesRead
    session.bytesWritten = socket.bytesWritten
    const place = this.#options.readPlace(request)
    this.#options.onRequest({
      listener: session.listener,
      client: peerText(socket.remoteAddress, socket.remotePort),
      via: session.via,
      vip: peerText(socket.localAddress, socket.localPort),
      method: request.method ?? '',
      path: place?.path ?? '',
      host: place?.host ?? null,
      route: route?.route ?? null,
      pool: route?.pool.name ?? null,
      backend: backend?.id ?? null,
      reason: session.reason,
      status: result.status,
      bytesIn,
      bytesOut,
      startedAtMs,
      error: result.error?.code ?? null,
      clientFields: clientFieldsOf(request),
    })
  }

  /** Lets requests under way finish, then closes; resolves when no connection is left and each request's end was told. */
  async close(): Promise<void> {
    if (!this.#draining) {
      this.#draining = true
      // Ends the check for late heads.
      this.#server.close()
    }
    // Not closeIdleConnections(): it cuts an answer that was ended but has not gone out.
    for (const [socket, session] of this.#sessions) if (isIdle(session)) socket.destroySoon()
    await Promise.all(
      [...this.#sessions.keys()].map((socket) => new Promise((resolve) => socket.once('close', resolve))),
    )
    await Promise.all(this.#requests)
  }

  /** Cuts every relayed connection. */
  destroy(): void {
    if (!this.#draining) this.#server.close()
    this.#draining = true
    for (const [socket, session] of this.#sessions) {
      // A FIN in the midst of an answer could pass for its end.
      if (isIdle(session)) socket.destroy()
      else socket.resetAndDestroy()
    }
  }
}

function addresses(backends: readonly Backend[]): string[] {
  return backends.flatMap((backend) =>
    backend.relayAddress === null ? [] : [endpointText(backend.relayAddress)],
  )
}

function served(backends: readonly Backend[], result: RelayResult): Backend | undefined {
  return backends.find(
    (backend) => backend.relayAddress !== null && endpointText(backend.relayAddress) === result.target,
  )
}

function peerText(address: string | undefined, port: number | undefined): string {
  return address === undefined ? '' : endpointText({ address, port: port ?? 0 })
}
