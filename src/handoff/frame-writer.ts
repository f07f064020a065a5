import { frameRoom, putFrame } from './frames.js'
import type { Message } from './messages.js'

const SLAB_BYTES = 64 * 1024

/**
 * Gathers frames into as few buffers as possible: each is written straight into a slab that many share, and its queue
 * is copied once. Bytes of a slab are only written again once nobody needs them: what a socket did not take at once may
 * sit in its buffer for any time.
 */
export class FrameWriter {
  #slab = Buffer.allocUnsafeSlow(SLAB_BYTES)
  /** Where the frames begin that were not taken yet. */
  #start = 0
  #end = 0
  #full: Buffer[] = []
  #fullBytes = 0
  /** Somebody needs bytes of the slab that were handed out. */
  #lent = false

  /** Bytes written and not taken. */
  get bytes(): number {
    return this.#fullBytes + this.#end - this.#start
  }

  /** @throws BatonError BATON_FRAME_VALUE; nothing of the message is then written */
  push(message: Message): void {
    const room = frameRoom(message)
    if (room > this.#slab.length - this.#end) this.#turn(room)
    this.#end = putFrame(this.#slab, this.#end, message)
  }

  /**
   * Hands out everything since the last call, in order. @param write returns true when the bytes may be written over from
   * now on: then the same few lines of the cache serve the next frames
   */
  drain(write: (bytes: Buffer, start: number, end: number) => boolean): void {
    let free = true
    for (const part of this.#full) free = write(part, 0, part.length) && free
    if (this.#end > this.#start) free = write(this.#slab, this.#start, this.#end) && free
    if (this.#fullBytes > 0) this.#full = []
    this.#fullBytes = 0
    // What earlier calls handed out of this slab may be needed still.
    this.#lent ||= !free
    if (!this.#lent) this.#end = 0
    this.#start = this.#end
  }

  #turn(room: number): void {
    if (this.#end > this.#start) {
      this.#full.push(this.#slab.subarray(this.#start, this.#end))
      this.#fullBytes += this.#end - this.#start
    }
    this.#slab = Buffer.allocUnsafeSlow(Math.max(SLAB_BYTES, room))
    this.#start = 0
    this.#end = 0
    this.#lent = false
  }
}
