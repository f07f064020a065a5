import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Server as NetServer } from 'node:net'
import type { Duplex } from 'node:stream'
import { onRawAnswer } from './raw-answer.js'

/** What is known of the requests of one connection. */
export interface Answers {
  /** Answered, or being answered. */
  requests: number
  /** Of the last answer; 0 before the first. */
  status: number
}

export interface Observer {
  /** Of the connection below a request's socket; undefined for one that is not the agent's. */
  answersOf(socket: Duplex): Answers | undefined
  /** A request is over. @param status 0 when there was no answer */
  onAnswered(status: number): void
  /** A handshake is done: what happens to the connection is told by this socket from now on. */
  onSecure(socket: Duplex): void
  /** A handshake failed. */
  onInsecure(socket: Duplex, error: NodeJS.ErrnoException): void
}

/**
 * Looks on, for the access log, at servers whose connections stay whole: https, and HTTP/2 where its 'request' event is
 * used. Nothing is routed by it and nothing is kept from the application.
 * @returns what takes it away again
 */
export function observeRequests(server: NetServer, observer: Observer): () => void {
  const emit = server.emit
  const shadow = function (this: Server, event: string, ...values: unknown[]): boolean {
    if (event === 'request' || event === 'checkContinue') {
      const [request, response] = values as [IncomingMessage, ServerResponse]
      const answers = observer.answersOf(request.socket)
      if (answers !== undefined) {
        answers.requests++
        response.once('close', () => {
          if (response.headersSent) answers.status = response.statusCode
          observer.onAnswered(response.headersSent ? response.statusCode : 0)
        })
      }
    } else if (event === 'upgrade') {
      const [, socket] = values as [IncomingMessage, Duplex]
      const answers = observer.answersOf(socket)
      if (answers !== undefined) {
        answers.requests++
        onRawAnswer(socket, (status) => {
          answers.status = status
          observer.onAnswered(status)
        })
      }
    } else if (event === 'secureConnection') {
      observer.onSecure(values[0] as Duplex)
    } else if (event === 'tlsClientError') {
      const [error, socket] = values as [NodeJS.ErrnoException, Duplex]
      observer.onInsecure(socket, error)
    }
    return Reflect.apply(emit, this, [event, ...values])
  }
  server.emit = shadow as typeof server.emit
  return () => {
    if (server.emit === (shadow as typeof server.emit)) server.emit = emit
  }
}
