import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { BatonError } from '../errors/index.js'
import { type AnswerStatus, answer, rawAnswer } from './answers.js'
import { hasBody, RequestBody } from './body.js'
import { type AttemptEnd, Exchange } from './exchange.js'
import { relayError } from './failure.js'
import { originForm, requestFields } from './headers.js'
import { type RelayOptions, type RelaySettings, relayDefaults } from './options.js'
import { tunnel } from './tunnel.js'
import { type UpgradeEnd, UpgradeExchange, wantedProtocol } from './upgrade.js'
import { Upstreams } from './upstreams.js'

export interface RelayResult {
  /** What the client got; 0 when it went away before any answer. */
  readonly status: number
  /** The address that answered, or the last one tried; null when none was. */
  readonly target: string | null
  /** Why it is not simply the application's answer; null when all went well. */
  readonly error: BatonError | null
}

export interface RelayRequestOptions {
  /** How the client reached us. Default `http`. */
  readonly proto?: 'http' | 'https'
  /** True when the request came by `checkContinue`: 100 Continue is then sent as soon as the way is open. */
  readonly expectsContinue?: boolean
}

/** Methods that may be sent twice (RFC 9110, section 9.2.2). */
const idempotent = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE'])

/**
 * Carries HTTP requests to an application and its answers back, by undici. What the RFCs ask of an intermediary is
 * done: hop-by-hop fields, forwarding fields, 1xx, trailers of answers (undici has no way to send those of requests),
 * answers without bodies.
 */
export class Relay {
  readonly #settings: RelaySettings
  readonly #upstreams: Upstreams

  constructor(options: RelayOptions = {}) {
    this.#settings = { ...relayDefaults, ...options }
    this.#upstreams = new Upstreams(this.#settings)
  }

  get settings(): RelaySettings {
    return this.#settings
  }

  /** Requests that are on the way. */
  get inFlight(): number {
    return this.#upstreams.inFlight
  }

  /**
   * Relays one request and answers it in every case. It goes to the first of `targets` (`host:port`); to the next one
   * only if nothing was sent yet, or the method is idempotent, there is no body and no head of an answer was seen.
   * Never rejects.
   */
  async request(
    request: IncomingMessage,
    response: ServerResponse,
    targets: readonly string[],
    options: RelayRequestOptions = {},
  ): Promise<RelayResult> {
    const target = originForm(request.url ?? '')
    if (request.method === 'CONNECT' || target === undefined) {
      const code = request.method === 'CONNECT' || request.url === '*' ? 'UNSUPPORTED' : 'BAD_REQUEST'
      return this.#fail(response, new BatonError(`BATON_RELAY_${code}`), null)
    }
    if (targets.length === 0) return this.#fail(response, new BatonError('BATON_RELAY_NO_TARGET'), null)
    const fields = requestFields(request, target.host, {
      proto: options.proto ?? 'http',
      forwarded: this.#settings.forwarded,
    })
    const withBody = hasBody(request)
    const mayRepeat = !withBody && idempotent.has(request.method ?? '')
    let continueOwed = options.expectsContinue === true
    const onContinue = () => {
      if (!continueOwed) return
      continueOwed = false
      response.writeContinue()
    }
    let last: AttemptEnd & { kind: 'early' } = {
      kind: 'early',
      error: new BatonError('BATON_RELAY_NO_TARGET'),
      sent: false,
      bodyTaken: false,
    }
    for (const address of targets) {
      const end = await this.#attempt(request, response, address, target.path, fields, withBody, onContinue)
      if (end.kind === 'done') return { status: end.status, target: address, error: null }
      if (end.kind === 'cut') return { status: end.status, target: address, error: end.error }
      last = end
      if (end.bodyTaken || (end.sent && !mayRepeat)) return this.#fail(response, end.error, address)
      if (end.error.side === 'client') break
    }
    return this.#fail(response, last.error, targets[targets.length - 1] ?? null)
  }

  /**
   * Relays a request that wants another protocol (WebSocket), then carries bytes both ways until the end. The socket
   * is ended or destroyed in every case. Never rejects.
   * @param head what the client sent after its request, as `upgrade` gives it
   */
  async upgrade(
    request: IncomingMessage,
    socket: Duplex,
    head: Buffer,
    targets: readonly string[],
    options: RelayRequestOptions = {},
  ): Promise<RelayResult> {
    // Whatever happens to the client's side is seen by 'close'.
    socket.on('error', () => undefined)
    socket.allowHalfOpen = true
    const target = originForm(request.url ?? '')
    const protocol = wantedProtocol(request)
    const refuse = (error: BatonError, address: string | null): RelayResult => {
      if (socket.writable)
        socket.end(rawAnswer((error.httpStatus ?? 502) as AnswerStatus, { code: error.code }))
      else socket.destroy()
      return { status: error.httpStatus ?? 502, target: address, error }
    }
    if (target === undefined || protocol === null)
      return refuse(new BatonError('BATON_RELAY_UNSUPPORTED'), null)
    const forward = { proto: options.proto ?? 'http', forwarded: this.#settings.forwarded } as const
    const fields = requestFields(request, target.host, forward)
    let failure = new BatonError('BATON_RELAY_NO_TARGET')
    let tried: string | null = null
    for (const address of targets) {
      tried = address
      const end = await this.#attemptUpgrade(request, socket, address, target.path, fields, protocol)
      if (end.kind === 'declined') return { status: end.status, target: address, error: null }
      if (end.kind === 'switched') {
        if (head.length > 0) socket.unshift(head)
        const { broken } = await tunnel(socket, end.socket)
        const code = broken?.side === 'client' ? 'BATON_RELAY_CLIENT_GONE' : 'BATON_RELAY_UPSTREAM'
        const error = broken === null ? null : new BatonError(code, { cause: broken.error })
        return { status: end.status, target: address, error }
      }
      failure = end.error
      if (end.headSent) {
        socket.destroy()
        return { status: 0, target: address, error: failure }
      }
      if (end.sent) break
    }
    return refuse(failure, tried)
  }

  /** Lets go of connections to addresses that are not in the set. */
  keepOnly(addresses: ReadonlySet<string>): void {
    this.#upstreams.keepOnly(addresses)
  }

  /** Waits for what is on the way, then closes every connection. */
  close(): Promise<void> {
    return this.#upstreams.close()
  }

  /** Breaks off what is on the way. */
  destroy(error: Error = new BatonError('BATON_RELAY_UPSTREAM', { detail: 'shut down' })): Promise<void> {
    return this.#upstreams.destroy(error)
  }

  #attempt(
    request: IncomingMessage,
    response: ServerResponse,
    address: string,
    path: string,
    fields: string[],
    withBody: boolean,
    onContinue: () => void,
  ): Promise<AttemptEnd> {
    const upstream = this.#upstreams.take(address)
    if (upstream === undefined) {
      const error = new BatonError('BATON_RELAY_BUSY', { detail: address })
      return Promise.resolve({ kind: 'early', error, sent: false, bodyTaken: false })
    }
    return new Promise<AttemptEnd>((resolve) => {
      const body = withBody ? new RequestBody(request) : null
      const exchange = new Exchange(request, response, body, onContinue, resolve)
      try {
        upstream.pool.dispatch(
          { path, method: request.method ?? 'GET', headers: fields, body, upgrade: null },
          exchange,
        )
      } catch (cause) {
        exchange.onResponseError(undefined, cause instanceof Error ? cause : relayError(cause, false))
      }
    }).finally(() => this.#upstreams.release(upstream))
  }

  #attemptUpgrade(
    request: IncomingMessage,
    socket: Duplex,
    address: string,
    path: string,
    headers: string[],
    upgrade: string,
  ): Promise<UpgradeEnd> {
    const upstream = this.#upstreams.take(address)
    if (upstream === undefined) {
      const error = new BatonError('BATON_RELAY_BUSY', { detail: address })
      return Promise.resolve({ kind: 'failed', error, sent: false, headSent: false })
    }
    return new Promise<UpgradeEnd>((resolve) => {
      const exchange = new UpgradeExchange(socket, resolve)
      try {
        upstream.pool.dispatch({ path, method: request.method ?? 'GET', headers, upgrade }, exchange)
      } catch (cause) {
        exchange.onResponseError(undefined, cause instanceof Error ? cause : relayError(cause, false))
      }
    }).finally(() => this.#upstreams.release(upstream))
  }

  #fail(response: ServerResponse, error: BatonError, target: string | null): RelayResult {
    if (response.destroyed || response.writableEnded) return { status: 0, target, error }
    const status = (error.httpStatus ?? 502) as AnswerStatus
    answer(response, status, { code: error.code })
    return { status, target, error }
  }
}
