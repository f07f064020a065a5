import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { TLSSocket } from 'node:tls'
import { getSystemErrorMap } from 'node:util'
import { TcpStream } from '../kernel/stream.js'

/** The connection below a channel. */
export interface Wire {
  /** Bytes that wait to be taken by the kernel. */
  readonly waitingBytes: number
  /** True: nobody needs the bytes any more. */
  write(bytes: Buffer, start: number, end: number): boolean
  /** Ends this side behind what waits. @param then called when that is done, unless the connection breaks before */
  end(then?: () => void): void
  /** Closes at once; nothing more is told, but for onClose where the socket is another's too. Idempotent. */
  destroy(): void
}

export interface WireEvents {
  /** The chunk is valid until this returns. */
  onData(chunk: Buffer): void
  /** The peer says no more. */
  onEnd(): void
  onError(cause: Error): void
  onClose(): void
  /** What waited is gone. */
  onDrain(): void
}

/**
 * Takes an upgraded socket over. A plain TCP connection goes on without its net.Socket, which is two thirds of the cost
 * of a frame; TLS, and streams that are no sockets, stay what they are. Bytes that came early are told in a microtask.
 */
export function openWire(socket: Duplex, events: WireEvents): Wire {
  if (socket instanceof Socket) socket.setNoDelay(true)
  const fd = plainDescriptor(socket)
  return fd === undefined ? new StreamWire(socket, events) : new PlainWire(socket, fd, events)
}

/** Of a TCP connection on which nothing is under way in user space; else undefined. */
function plainDescriptor(socket: Duplex): number | undefined {
  if (!(socket instanceof Socket) || socket instanceof TLSSocket || socket.destroyed) return undefined
  if (socket.readableEnded || socket.writableEnded) return undefined
  // Not public, but as old as Node: https servers and cluster pass handles on by it.
  const handle: unknown = Reflect.get(socket, '_handle')
  if (typeof handle !== 'object' || handle === null) return undefined
  const fd: unknown = Reflect.get(handle, 'fd')
  const queued: unknown = Reflect.get(handle, 'writeQueueSize')
  return typeof fd === 'number' && fd >= 0 && queued === 0 ? fd : undefined
}

class PlainWire implements Wire {
  readonly #stream: TcpStream

  constructor(socket: Duplex, fd: number, events: WireEvents) {
    this.#stream = new TcpStream(fd, {
      onData: (chunk) => events.onData(chunk),
      onEnd: () => events.onEnd(),
      onError: (errno) => events.onError(kernelError(errno)),
      onDrain: () => events.onDrain(),
    })
    const early: Buffer | null = socket.read()
    // Its own descriptor goes; the connection lives on by the duplicate.
    socket.on('error', () => undefined)
    socket.destroy()
    if (early !== null) queueMicrotask(() => events.onData(early))
  }

  get waitingBytes(): number {
    return this.#stream.waitingBytes
  }

  write(bytes: Buffer, start: number, end: number): boolean {
    return this.#stream.write(bytes, start, end)
  }

  end(then?: () => void): void {
    this.#stream.end(then)
  }

  destroy(): void {
    this.#stream.close()
  }
}

class StreamWire implements Wire {
  readonly #socket: Duplex

  constructor(socket: Duplex, events: WireEvents) {
    this.#socket = socket
    socket.on('data', (chunk: Buffer) => events.onData(chunk))
    socket.on('end', () => events.onEnd())
    socket.on('error', (cause) => events.onError(cause))
    socket.on('close', () => events.onClose())
    socket.on('drain', () => events.onDrain())
  }

  get waitingBytes(): number {
    return this.#socket.writableLength
  }

  write(bytes: Buffer, start: number, end: number): boolean {
    this.#socket.write(bytes.subarray(start, end))
    return false
  }

  end(then?: () => void): void {
    this.#socket.end(then)
  }

  destroy(): void {
    this.#socket.destroy()
  }
}

/** As Node words it: `read ECONNRESET`. */
function kernelError(errno: number): Error {
  const [code = `errno ${errno}`] = getSystemErrorMap().get(-errno) ?? []
  return Object.assign(new Error(`the connection broke: ${code}`), { code, errno })
}
