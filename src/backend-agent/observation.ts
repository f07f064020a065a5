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

/**
 * Counts the requests of servers whose connections stay whole, for the access log: https, and HTTP/2 where its
 * 'request' event is used. Nothing is routed by it and nothing is kept from the application.
 * @param answersOf of the connection below a request's socket; undefined for one that is not the agent's
 * @param onAnswered a request is over. @param status 0 when there was no answer
 * @returns what takes it away again
 */
export function observeRequests(
  server: NetServer,
  answersOf: (socket: Duplex) => Answers | undefined,
  onAnswered: (status: number) => void,
): () => void {
  const emit = server.emit
  const shadow = function (this: Server, event: string, ...values: unknown[]): boolean {
    if (event === 'request' || event === 'checkContinue') {
      const [request, response] = values as [IncomingMessage, ServerResponse]
      const answers = answersOf(request.socket)
      if (answers !== undefined) {
        answers.requests++
        response.once('close', () => {
          if (response.headersSent) answers.status = response.statusCode
          onAnswered(response.headersSent ? response.statusCode : 0)
        })
      }
    } else if (event === 'upgrade') {
      const [, socket] = values as [IncomingMessage, Duplex]
      const answers = answersOf(socket)
      if (answers !== undefined) {
        answers.requests++
        onRawAnswer(socket, (status) => {
          answers.status = status
          onAnswered(status)
        })
      }
    }
    return Reflect.apply(emit, this, [event, ...values])
  }
  server.emit = shadow as typeof server.emit
  return () => {
    if (server.emit === (shadow as typeof server.emit)) server.emit = emit
  }
}
