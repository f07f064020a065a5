import { frameRoom, putFrame } from './frames.js'
import type { Message } from './messages.js'

const SLAB_BYTES = 64 * 1024

/**
 * Gathers frames into as few buffers as possible: each is written straight into a slab that many share, and its queue
 * is copied once. A slab is never written twice, so that what was taken may sit in a socket's buffer for any time.
 */
export class FrameWriter {
  #slab = Buffer.allocUnsafeSlow(SLAB_BYTES)
  /** Where the frames begin that were not taken yet. */
  #start = 0
  #end = 0
  #full: Buffer[] = []
  #fullBytes = 0

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

  /** Everything since the last call, in order; empty when there is nothing. */
  take(): Buffer[] {
    if (this.#end > this.#start) this.#full.push(this.#slab.subarray(this.#start, this.#end))
    const taken = this.#full
    this.#full = []
    this.#fullBytes = 0
    this.#start = this.#end
    return taken
  }

  #turn(room: number): void {
    if (this.#end > this.#start) {
      this.#full.push(this.#slab.subarray(this.#start, this.#end))
      this.#fullBytes += this.#end - this.#start
    }
    this.#slab = Buffer.allocUnsafeSlow(Math.max(SLAB_BYTES, room))
    this.#start = 0
    this.#end = 0
  }
}
