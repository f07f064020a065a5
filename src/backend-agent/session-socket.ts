import { Socket } from 'node:net'
import { socketOptions } from '../relay/index.js'

/** What the owner of a {@link SessionSocket} decides. */
export interface SocketOwner {
  /** The socket's timer ran out. True: the owner sees to it, and no 'timeout' is emitted now. */
  onTimeout(): boolean
  /** Somebody wants the socket destroyed. False: it is frozen, and must neither close nor speak now. */
  mayDestroy(): boolean
  /** Reading goes on, to throw away what comes: the last answer is out. */
  onReadingAgain(): void
  /** The descriptor is about to be closed. */
  onClosing(): void
}

/** How long a client may go on sending after our FIN before it is cut off, in ms. */
const LINGER_MS = 2000

/**
 * A socket whose reading can be held from outside, whatever the HTTP server above it wants. Node's http server reads
 * from its sockets by calling `resume()`, and the streams below by `_read()`: both are no-ops while held. `pause()`
 * stops the handle inside the very callback that delivers data, so nothing is read beyond the chunk in hand.
 */
export class SessionSocket extends Socket {
  readonly fd: number
  owner: SocketOwner | undefined
  /** Bytes of the client that never were in this kernel. */
  readonly givenBytes: number
  #held = false
  /** What was asked for while held. */
  #resumeWanted = false
  #readWanted = false

  /**
   * Takes the descriptor over. Reading begins in the next turn of the loop, so hand the socket on in this one.
   * @param options.allowHalfOpen as the server wants it: http.Server and tunnels true
   * @param options.given bytes of the client that are not in the kernel: they are read first
   */
  constructor(fd: number, options: { readonly allowHalfOpen: boolean; readonly given?: Buffer | undefined }) {
    super(socketOptions(fd, options.allowHalfOpen))
    this.fd = fd
    this.givenBytes = options.given?.length ?? 0
    if (this.givenBytes > 0) this.unshift(options.given)
  }

  get held(): boolean {
    return this.#held
  }

  /** From now on nothing more is read. Bytes that come stay in the kernel. */
  hold(): void {
    if (this.#held) return
    this.#held = true
    this.#resumeWanted = !this.isPaused()
    super.pause()
  }

  release(): void {
    if (!this.#held) return
    this.#held = false
    if (this.#resumeWanted) super.resume()
    if (this.#resumeWanted || this.#readWanted) this.#readAgain()
  }

  /**
   * Starts the handle. resume() alone may not: the stream believes that a read is under way since it was made (what the
   * http parser takes from the handle never passes through it), and the server's own listener may be gone.
   */
  #readAgain(): void {
    this.#readWanted = false
    if (!this.destroyed) super._read(0)
  }

  override pause(): this {
    this.#resumeWanted = false
    return super.pause()
  }

  override resume(): this {
    // The base class's constructor reads before there are private fields.
    if (#held in this && this.#held) {
      this.#resumeWanted = true
      return this
    }
    return super.resume()
  }

  override _read(size: number): void {
    if (#held in this && this.#held) this.#readWanted = true
    else super._read(size)
  }

  override emit(event: string | symbol, ...values: unknown[]): boolean {
    if (event === 'timeout' && this.owner?.onTimeout() === true) return true
    // Of a resume() before the hold: what was given is read ahead of it, and the http server would start the handle.
    if (event === 'resume' && this.#held) return true
    return super.emit(event, ...values)
  }

  override destroy(error?: Error): this {
    if (this.owner?.mayDestroy() === false) return this
    return super.destroy(error)
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.owner?.onClosing()
    super._destroy(error, callback)
  }

  /**
   * The http server ends a socket at the client's FIN, whether it has ended it before or not, and Node would make an
   * error for that, with a stack, which nobody sees: 5 µs of every connection.
   */
  override end(data?: unknown, encoding?: unknown, callback?: unknown): this {
    if (data === undefined && callback === undefined && this.writableFinished) return this
    return super.end(data as string, encoding as BufferEncoding, callback as () => void)
  }

  /**
   * Called by the http server after the last answer. While reading is held the kernel may hold bytes that nobody has
   * read, and closing over them sends RST, which can destroy the answer on its way.
   */
  override destroySoon(): void {
    if (this.#held && !this.destroyed) this.endAndDiscard()
    else super.destroySoon()
  }

  /** Sends the last bytes and FIN, and throws away what comes until the client closes too, for 2 s at most. */
  endAndDiscard(bytes?: Buffer): void {
    this.owner?.onReadingAgain()
    this.#held = false
    // An http parser must not see what is thrown away: adding a listener takes the handle away from it, and without the
    // server's own listener nothing reaches it.
    this.removeAllListeners('data')
    this.on('data', () => undefined)
    this.setTimeout(0)
    const timer = setTimeout(() => this.destroy(), LINGER_MS)
    this.once('close', () => clearTimeout(timer))
    this.once('end', () => super.destroySoon())
    super.resume()
    this.#readAgain()
    if (bytes === undefined) this.end()
    else this.end(bytes)
  }
}

/** With what was given: a getter of net.Socket, which the types have as a property. */
Object.defineProperty(SessionSocket.prototype, 'bytesRead', {
  get(this: SessionSocket): number {
    return (Reflect.get(Socket.prototype, 'bytesRead', this) as number) + this.givenBytes
  },
})
