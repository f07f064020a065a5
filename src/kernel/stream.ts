import { native } from './native.js'

type StreamHandle = { readonly stream: unique symbol }

interface StreamCalls {
  streamOpen(fd: number, bytes: Buffer, onEvent: (got: number, writable: boolean) => void): StreamHandle
  streamWrite(stream: StreamHandle, bytes: Buffer, start: number, end: number): number
  streamWatch(stream: StreamHandle, reading: boolean, writing: boolean): void
  streamEnd(stream: StreamHandle): void
  streamClose(stream: StreamHandle): void
}

export interface StreamEvents {
  /** A view of a buffer that is used again: valid until this returns. */
  onData(chunk: Buffer): void
  /** The peer has ended its side; nothing more comes. */
  onEnd(): void
  /** Broken; everything that had come was told before. The stream is still to be closed. @param errno of the kernel */
  onError(errno: number): void
  /** All that waited is with the kernel. */
  onDrain(): void
}

const READ_BYTES = 64 * 1024
/** Every event is over before the next, so one serves all streams. */
const shared = Buffer.allocUnsafeSlow(READ_BYTES)

/**
 * A TCP connection by its descriptor, of which it takes a duplicate. A net.Socket costs twice to five times as much for
 * each chunk: a buffer of its own, stream and event for reading; request, stream and completion for writing.
 */
export class TcpStream {
  readonly #calls: StreamCalls
  readonly #handle: StreamHandle
  readonly #events: StreamEvents
  /** Not taken by the kernel yet. */
  #waiting: Buffer[] = []
  #waitingBytes = 0
  #reading = true
  #writing: 'open' | 'ending' | 'ended' | 'broken' = 'open'
  #brokenBy = 0
  #onEnded: (() => void) | undefined
  #closed = false

  /** @throws Error with step and errno */
  constructor(fd: number, events: StreamEvents) {
    this.#calls = native<StreamCalls>()
    this.#events = events
    this.#handle = this.#calls.streamOpen(fd, shared, (got, writable) => this.#onEvent(got, writable))
  }

  /** Bytes that wait for the kernel. */
  get waitingBytes(): number {
    return this.#waitingBytes
  }

  /**
   * Sends now, or as soon as the kernel takes it. False: the bytes are needed until onDrain. What is written after an
   * end, or to a connection that broke, goes nowhere; that it broke is told behind the last data.
   */
  write(bytes: Buffer, start: number, end: number): boolean {
    if (this.#closed || this.#writing !== 'open') return true
    let from = start
    if (this.#waitingBytes === 0) {
      const sent = this.#calls.streamWrite(this.#handle, bytes, start, end)
      if (sent === end - start) return true
      if (sent < 0) {
        this.#breakOff(-sent)
        return true
      }
      from += sent
    }
    this.#waiting.push(bytes.subarray(from, end))
    if (this.#waitingBytes === 0) this.#watch(true)
    this.#waitingBytes += end - from
    return false
  }

  /** FIN, behind what waits. @param then called when it is out; not after an error or close() */
  end(then?: () => void): void {
    if (this.#closed || this.#writing !== 'open') return
    this.#writing = 'ending'
    this.#onEnded = then
    if (this.#waitingBytes === 0) this.#finish()
  }

  /** Closes at once; nothing more is told. Idempotent. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#waiting = []
    this.#waitingBytes = 0
    this.#calls.streamClose(this.#handle)
  }

  #onEvent(got: number, writable: boolean): void {
    if (writable) this.#drain()
    else if (got > 0) this.#events.onData(shared.subarray(0, got))
    else {
      this.#reading = false
      if (!this.#closed) this.#calls.streamWatch(this.#handle, false, this.#waitingBytes > 0)
      const errno = got < 0 ? -got : this.#brokenBy
      if (errno === 0) this.#events.onEnd()
      else this.#events.onError(errno)
    }
  }

  #drain(): void {
    while (this.#waiting.length > 0) {
      const bytes = this.#waiting[0]!
      const sent = this.#calls.streamWrite(this.#handle, bytes, 0, bytes.length)
      if (sent < 0) {
        this.#breakOff(-sent)
        return
      }
      this.#waitingBytes -= sent
      if (sent < bytes.length) {
        this.#waiting[0] = bytes.subarray(sent)
        return
      }
      this.#waiting.shift()
    }
    this.#watch(false)
    this.#events.onDrain()
    if (this.#writing === 'ending' && !this.#closed) this.#finish()
  }

  /** The peer is away. What it had sent is still to be read: reading meets the end, and tells. */
  #breakOff(errno: number): void {
    this.#brokenBy = errno
    this.#writing = 'broken'
    this.#waiting = []
    this.#waitingBytes = 0
    if (this.#reading) this.#watch(false)
    else queueMicrotask(() => this.#closed || this.#events.onError(errno))
  }

  #finish(): void {
    this.#writing = 'ended'
    this.#calls.streamEnd(this.#handle)
    this.#onEnded?.()
  }

  #watch(writing: boolean): void {
    this.#calls.streamWatch(this.#handle, this.#reading, writing)
  }
}
