import { BatonError } from '../errors/index.js'
import { takeBody } from './frames.js'
import { HEADER_BYTES, maxBodyByCode } from './limits.js'
import type { Message } from './messages.js'
import { malformed } from './take.js'

const FIRST_PENDING_BYTES = 4096
const NOTHING = Buffer.alloc(0)

/**
 * Chunks in, messages out. Frames that lie whole in a chunk are read where they lie; a frame that spans chunks is
 * gathered, never more than its cap. Nothing in a message points into a chunk, which may be used again.
 */
export class FrameDecoder {
  /** The beginning of a frame whose end has not come. */
  #pending: Buffer = NOTHING
  #pendingBytes = 0
  #broken: unknown

  /**
   * The messages that are whole now. After an error the decoder stays broken: the frames' borders are gone.
   * @throws BatonError BATON_FRAME_SIZE, BATON_FRAME_MALFORMED
   */
  push(chunk: Buffer): Message[] {
    const messages: Message[] = []
    this.read(chunk, (message) => messages.push(message))
    return messages
  }

  /**
   * As {@link push}, one message at a time, so that those before a bad frame arrive. `each` may return false: the rest
   * of the chunk is then thrown away.
   */
  read(chunk: Buffer, each: (message: Message) => unknown): void {
    if (this.#broken !== undefined) throw this.#broken
    let at = 0
    while (this.#pendingBytes > 0 && at < chunk.length) {
      at = this.#gather(chunk, at)
      const end = this.#frameEnd(this.#pending, 0, this.#pendingBytes)
      if (end === undefined || this.#pendingBytes < end) continue
      const frame = this.#pending
      this.#pending = NOTHING
      this.#pendingBytes = 0
      if (each(this.#body(frame, 0, end)) === false) return
    }
    while (at < chunk.length) {
      const start = at
      const end = this.#frameEnd(chunk, start, chunk.length)
      if (end === undefined || end > chunk.length) {
        while (at < chunk.length) at = this.#gather(chunk, at)
        return
      }
      at = end
      if (each(this.#body(chunk, start, end)) === false) return
    }
  }

  /** Bytes of an unfinished frame that wait here. */
  get waitingBytes(): number {
    return this.#pendingBytes
  }

  /** Takes what the unfinished frame still needs, first its header; returns the offset after it. */
  #gather(chunk: Buffer, at: number): number {
    const end = this.#frameEnd(this.#pending, 0, this.#pendingBytes) ?? HEADER_BYTES
    const count = Math.min(end - this.#pendingBytes, chunk.length - at)
    const needed = this.#pendingBytes + count
    if (needed > this.#pending.length) {
      // Doubling, so that bytes which trickle in are not copied over and over, nor memory taken before they are there.
      const room = Math.max(FIRST_PENDING_BYTES, needed, Math.min(end, this.#pending.length * 2))
      const grown = Buffer.allocUnsafeSlow(room)
      grown.set(this.#pending.subarray(0, this.#pendingBytes))
      this.#pending = grown
    }
    this.#pending.set(chunk.subarray(at, at + count), this.#pendingBytes)
    this.#pendingBytes = needed
    return at + count
  }

  /** Where the frame at `at` ends, once its header is there. The cap is judged before a byte of the body is stored. */
  #frameEnd(bytes: Buffer, at: number, limit: number): number | undefined {
    if (limit - at < HEADER_BYTES) return undefined
    const bodyBytes = bytes.readUInt32BE(at)
    const code = bytes[at + 4]!
    const cap = maxBodyByCode[code]!
    if (bodyBytes <= cap) return at + HEADER_BYTES + bodyBytes
    return this.#guard(() => {
      const type = `0x${code.toString(16)}`
      if (cap === 0) malformed(`No message has the type ${type}.`)
      throw new BatonError('BATON_FRAME_SIZE', {
        detail: `Type ${type}: ${bodyBytes} bytes, at most ${cap}.`,
      })
    })
  }

  #body(bytes: Buffer, start: number, end: number): Message {
    try {
      return takeBody(bytes[start + 4]!, bytes, start + HEADER_BYTES, end)
    } catch (error) {
      this.#broken = error
      throw error
    }
  }

  #guard(refuse: () => never): never {
    try {
      refuse()
    } catch (error) {
      this.#broken = error
      this.#pending = NOTHING
      this.#pendingBytes = 0
      throw error
    }
  }
}
