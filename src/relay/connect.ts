import { connect, type Socket } from 'node:net'
import { socketShape } from './socket-options.js'

/**
 * A TCP connection to an application, ready for {@link tunnel}: half-open allowed, no delay, and an error after this
 * only closes it, which the tunnel sees.
 * @throws Error of the connect, when there is no answer in time, or when the signal aborts it
 */
export function connectTo(
  { address, port }: { readonly address: string; readonly port: number },
  connectTimeoutMs: number,
  signal?: AbortSignal,
): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: address, port, allowHalfOpen: true, noDelay: true, ...socketShape })
    const fail = (cause: Error) => {
      over()
      socket.destroy()
      reject(cause)
    }
    const timer = setTimeout(
      () => fail(new Error(`no answer within ${connectTimeoutMs} ms`)),
      connectTimeoutMs,
    )
    const abort = () => fail(new Error('given up'))
    const over = () => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', abort)
    }
    signal?.addEventListener('abort', abort)
    socket.on('error', fail)
    socket.once('connect', () => {
      over()
      resolve(socket)
    })
  })
}
