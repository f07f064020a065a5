import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { answer, type Relay, rawAnswer, requestPlace } from '../relay/index.js'
import type { HttpSession } from './http-session.js'

/** Whose a request is. */
export type Placement =
  | { readonly kind: 'own' }
  /** Another pool's; `addresses` may be empty. */
  | { readonly kind: 'other'; readonly pool: string; readonly addresses: readonly string[] }
  /** No route leads anywhere. */
  | { readonly kind: 'none' }

export interface InterceptionOptions {
  readonly relay: Relay
  sessionOf(socket: Duplex): HttpSession | undefined
  place(session: HttpSession, host: string | null, path: string): Placement
  /** A request was kept from the application: relayed to its pool, or answered with 4xx. */
  onMisplaced(outcome: 'relayed' | 'misdirected' | 'unroutable'): void
}

/**
 * Stands between an http server's parser and its application, for the connections that the agent gave it: whatever the
 * gate did or could not do, **no request reaches the application that the routes give to another pool**. Other
 * connections of the server are not touched.
 *
 * There is no public hook before 'request' listeners that can also stop them, so the server's own `emit` is shadowed.
 * @returns what takes it away again
 */
export function interceptRequests(server: Server, options: InterceptionOptions): () => void {
  const emit = server.emit
  const shadow = function (this: Server, event: string, ...values: unknown[]): boolean {
    if (isRequestEvent(event)) {
      const [request, response] = values as [IncomingMessage, ServerResponse]
      const session = options.sessionOf(request.socket)
      if (session !== undefined) {
        session.onRequest(request, response)
        if (!mayServe(options, session, request, response, event)) return true
      }
    } else if (event === 'upgrade' || event === 'connect') {
      const [request, socket, head] = values as [IncomingMessage, Duplex, Buffer]
      const session = options.sessionOf(socket)
      if (session !== undefined) {
        session.onUpgrade()
        if (!mayUpgrade(options, session, request, socket, head)) return true
      }
    }
    return Reflect.apply(emit, this, [event, ...values])
  }
  server.emit = shadow as typeof server.emit
  return () => {
    if (server.emit === (shadow as typeof server.emit)) server.emit = emit
  }
}

function isRequestEvent(event: string): event is 'request' | 'checkContinue' | 'checkExpectation' {
  return event === 'request' || event === 'checkContinue' || event === 'checkExpectation'
}

function placeOf(options: InterceptionOptions, session: HttpSession, request: IncomingMessage) {
  const place = requestPlace(request)
  return place === undefined ? undefined : options.place(session, place.host, place.path)
}

function mayServe(
  options: InterceptionOptions,
  session: HttpSession,
  request: IncomingMessage,
  response: ServerResponse,
  event: 'request' | 'checkContinue' | 'checkExpectation',
): boolean {
  const placement = placeOf(options, session, request)
  if (placement?.kind === 'own') return true
  if (placement === undefined) {
    options.onMisplaced('unroutable')
    answer(response, 400)
  } else if (placement.kind === 'none') {
    options.onMisplaced('unroutable')
    answer(response, 404)
  } else if (placement.addresses.length === 0) {
    // RFC 9110, section 15.5.20: the client may try again on another connection, which a frontend then routes.
    options.onMisplaced('misdirected')
    answer(response, 421, { close: true })
  } else {
    options.onMisplaced('relayed')
    // Never rejects; the outcome is the client's answer.
    void options.relay.request(request, response, placement.addresses, {
      expectsContinue: event === 'checkContinue',
    })
  }
  return false
}

function mayUpgrade(
  options: InterceptionOptions,
  session: HttpSession,
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
): boolean {
  const placement = placeOf(options, session, request)
  if (placement?.kind === 'own') return true
  if (placement?.kind === 'other' && placement.addresses.length > 0) {
    options.onMisplaced('relayed')
    void options.relay.upgrade(request, socket, head, placement.addresses)
    return false
  }
  options.onMisplaced(placement?.kind === 'other' ? 'misdirected' : 'unroutable')
  socket.on('error', () => undefined)
  socket.end(rawAnswer(placement === undefined ? 400 : placement.kind === 'none' ? 404 : 421))
  return false
}
