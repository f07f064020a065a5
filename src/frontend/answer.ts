import { Socket } from 'node:net'
import { socketOptions } from '../relay/index.js'

/** How long a client may take to read a short answer before its connection is cut, in ms. */
const LINGER_MS = 2000

/**
 * Writes a short answer on a connection that nobody else holds, and closes it so that the client gets to read it: what
 * it still sends is thrown away meanwhile, since closing over unread bytes sends RST (RFC 9112, 9.6).
 */
export function answerAndClose(fd: number, bytes: Buffer, closed?: () => void): void {
  const socket = new Socket(socketOptions(fd, true))
  const timer = setTimeout(() => socket.destroy(), LINGER_MS)
  socket.once('close', () => {
    clearTimeout(timer)
    closed?.()
  })
  // The client may be gone already: then nobody is left to be told.
  socket.once('error', () => socket.destroy())
  socket.once('end', () => socket.destroySoon())
  socket.resume()
  socket.end(bytes)
}

/** The same, or RST where there is nothing that the client would understand. */
export function answerOrReset(fd: number, bytes: Buffer | null, closed?: () => void): void {
  if (bytes !== null) {
    answerAndClose(fd, bytes, closed)
    return
  }
  resetAndClose(fd)
  closed?.()
}

/** Ends a live connection with RST: its owner is unknown, or nobody can go on with it. */
export function resetAndClose(fd: number): void {
  const socket = new Socket(socketOptions(fd, false))
  socket.on('error', () => undefined)
  socket.resetAndDestroy()
}

/** Ends a live connection without a word of ours. */
export function closeQuietly(fd: number): void {
  const socket = new Socket(socketOptions(fd, false))
  socket.on('error', () => undefined)
  socket.destroy()
}
