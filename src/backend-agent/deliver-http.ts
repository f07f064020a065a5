import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { type AnswerStatus, parserStatus, Relay, rawAnswer } from '../relay/index.js'
import { SessionSocket } from './session-socket.js'
import type { Sessions } from './sessions.js'

export interface ProxyOptions {
  /** `ADDRESS:PORT` of the application. */
  readonly address: string
  readonly connectTimeoutMs: number
  readonly responseTimeoutMs: number
  readonly keepAliveTimeoutMs: number
  readonly headTimeoutMs: number
  readonly idleTimeoutMs: number
  readonly maxHeadBytes: number
}

/** How often Node looks for heads that are late. */
const HEAD_CHECK_MS = 1000

/** The local reverse proxy of `deliver: http`: an http server that never listens, and a relay to the application. */
export function createProxy(options: ProxyOptions, sessions: Sessions): { server: Server; relay: Relay } {
  const { address, idleTimeoutMs } = options
  const relay = new Relay({
    connectTimeoutMs: options.connectTimeoutMs,
    responseTimeoutMs: options.responseTimeoutMs,
    bodyTimeoutMs: idleTimeoutMs,
  })
  const targets = [address]
  const server = createServer({
    keepAliveTimeout: options.keepAliveTimeoutMs,
    headersTimeout: options.headTimeoutMs,
    // A body may take as long as bytes come: idleTimeoutMs.
    requestTimeout: 0,
    connectionsCheckingInterval: HEAD_CHECK_MS,
    maxHeaderSize: options.maxHeadBytes,
  })
  server.timeout = idleTimeoutMs
  // A client that closes its side after the request still gets the answer. Not in the types, though old and documented
  // in Node's own tests.
  Object.assign(server, { httpAllowHalfOpen: true })
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    void relay.request(request, response, targets)
  })
  server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) => {
    void relay.request(request, response, targets, { expectsContinue: true })
  })
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    void relay.upgrade(request, socket, head, targets)
  })
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Duplex) => {
    refuse(socket, parserStatus(error.code), sessions.answering(socket))
  })
  // Node sets up its check for late heads when a server begins to listen; without it headersTimeout means nothing.
  server.emit('listening')
  return { server, relay }
}

/** @param answering part of an answer is out: an error in its midst would pass for its end */
function refuse(socket: Duplex, status: AnswerStatus, answering: boolean): void {
  if (answering || !socket.writable) socket.destroy()
  else if (socket instanceof SessionSocket) socket.endAndDiscard(rawAnswer(status))
  else socket.end(rawAnswer(status))
}
