import type { IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'

/**
 * A request's body on its way to the application. undici destroys the body that it was given and takes the socket off
 * an IncomingMessage; this stands between, so that the client's request outlives a failed attempt. Nothing is read
 * from the client before the application is there to take it.
 */
export class RequestBody extends Readable {
  readonly #request: IncomingMessage
  #attached = false
  readonly #onData = (chunk: Buffer) => {
    this.taken = true
    if (!this.push(chunk)) this.#request.pause()
  }
  readonly #onEnd = () => {
    this.push(null)
  }
  readonly #onClose = () => {
    if (!this.#request.complete) this.destroy(new Error('the client broke off its request body'))
  }
  /** True once a byte of the body has been taken: the request cannot be sent a second time. */
  taken = false

  constructor(request: IncomingMessage) {
    super({ highWaterMark: 64 * 1024 })
    this.#request = request
  }

  override _read(): void {
    if (!this.#attached) {
      this.#attached = true
      this.#request.on('data', this.#onData)
      this.#request.on('end', this.#onEnd)
      this.#request.on('close', this.#onClose)
    }
    this.#request.resume()
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    if (this.#attached) {
      this.#request.off('data', this.#onData)
      this.#request.off('end', this.#onEnd)
      this.#request.off('close', this.#onClose)
      this.#request.pause()
    }
    callback(error)
  }
}

/** Whether a request has a body at all (RFC 9112, section 6.3). */
export function hasBody(request: IncomingMessage): boolean {
  if (request.headers['transfer-encoding'] !== undefined) return true
  const length = request.headers['content-length']
  return length !== undefined && Number(length) > 0
}
