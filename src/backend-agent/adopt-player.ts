import type { Snapshot } from '../repair/index.js'
import type { AdoptDevice } from './adopt-device.js'
import type { AdoptPrograms } from './adopt-programs.js'
import { segmentFrame } from './adopt-segments.js'

/** Segments between two looks at what was taken, and such rounds in one turn of the loop. */
const ROUND_SEGMENTS = 16
const TURN_ROUNDS = 8
const FIRST_WAIT_MS = 2
const LONGEST_WAIT_MS = 100

/**
 * Plays the unread bytes of a connection in, as its client would send them: in order, from what the socket has taken,
 * as fast as its window lets it. The client will not send them again, for the frontend's kernel has acknowledged them.
 */
export class Player {
  readonly #snapshot: Snapshot
  readonly #device: AdoptDevice
  readonly #programs: AdoptPrograms
  readonly #onDone: () => void
  readonly #sequence: number
  readonly #window: number
  #waitMs = FIRST_WAIT_MS
  #timer: NodeJS.Timeout | undefined

  /** @param onDone everything was taken, or the connection is over */
  constructor(snapshot: Snapshot, device: AdoptDevice, programs: AdoptPrograms, onDone: () => void) {
    this.#snapshot = snapshot
    this.#device = device
    this.#programs = programs
    this.#onDone = onDone
    this.#sequence = (snapshot.receive.nextSequence - snapshot.receive.queue.length) >>> 0
    const scale = snapshot.options.windowScale?.send ?? 0
    this.#window = Math.min(0xffff, snapshot.window.sndWnd >>> scale)
  }

  /** The segment that the child is made of; an ACK where nothing is unread. */
  first(): void {
    this.#device.play([this.#frame(0)])
  }

  /** What follows it. */
  rest(): void {
    const { length } = this.#snapshot.receive.queue
    for (let round = 0; round < TURN_ROUNDS; round++) {
      const taken = this.#programs.progress(this.#header())
      if (taken === undefined || taken >= length) {
        this.#onDone()
        return
      }
      const frames: Buffer[] = []
      for (let at = taken; at < length && frames.length < ROUND_SEGMENTS; at += this.#snapshot.mss) {
        frames.push(this.#frame(at))
      }
      this.#device.play(frames)
      const after = this.#programs.progress(this.#header())
      if (after === taken) {
        this.#wait()
        return
      }
      this.#waitMs = FIRST_WAIT_MS
    }
    this.#timer = setTimeout(() => this.rest(), 0)
  }

  /** Plays no more. Whether everything was taken: {@link isMissing}. */
  stop(): void {
    clearTimeout(this.#timer)
    this.#onDone()
  }

  /** Whether the socket lives and lacks bytes. */
  isMissing(): boolean {
    const taken = this.#programs.progress(this.#header())
    return taken !== undefined && taken < this.#snapshot.receive.queue.length
  }

  #wait(): void {
    this.#timer = setTimeout(() => this.rest(), this.#waitMs)
    this.#waitMs = Math.min(LONGEST_WAIT_MS, this.#waitMs * 2)
  }

  #header(): Buffer {
    return this.#make(0, Buffer.alloc(0))
  }

  #frame(at: number): Buffer {
    const { mss, receive } = this.#snapshot
    return this.#make(at, receive.queue.subarray(at, at + mss))
  }

  #make(at: number, payload: Buffer): Buffer {
    return segmentFrame({
      flow: this.#snapshot.flow,
      sequence: this.#sequence + at,
      acknowledgement: this.#snapshot.send.writeSequence,
      window: this.#window,
      payload,
    })
  }
}
