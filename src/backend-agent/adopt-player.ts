import type { Snapshot } from '../repair/index.js'
import type { AdoptDevice } from './adopt-device.js'
import type { AdoptPrograms } from './adopt-programs.js'
import { type SegmentFields, segmentFrame } from './adopt-segments.js'

/** Segments between two looks at what was taken, and such rounds in one turn of the loop. */
const ROUND_SEGMENTS = 16
const TURN_ROUNDS = 8
const FIRST_WAIT_MS = 2
const LONGEST_WAIT_MS = 100

/** What the client has said and nobody has read, as segments of its own. */
export interface Unread {
  readonly snapshot: Snapshot
  /** Of the first byte. */
  readonly sequence: number
  /** As it stands in a header. */
  readonly window: number
}

export function unreadOf(snapshot: Snapshot): Unread {
  const { receive, options, window } = snapshot
  const scale = options.windowScale?.send ?? 0
  return {
    snapshot,
    sequence: (receive.nextSequence - receive.queue.length) >>> 0,
    window: Math.min(0xffff, window.sndWnd >>> scale),
  }
}

/** The segment of the bytes from `at` on; an ACK where there are none. */
export function segmentAt({ snapshot, sequence, window }: Unread, at: number, bytes: number): SegmentFields {
  const { queue } = snapshot.receive
  return {
    flow: snapshot.flow,
    sequence: sequence + at,
    acknowledgement: snapshot.send.writeSequence,
    window,
    payload: at === 0 && bytes >= queue.length ? queue : queue.subarray(at, at + bytes),
  }
}

/**
 * Plays on what the first segment left of the unread bytes, as the client would send them: in order, from what the socket
 * has taken, as fast as its window lets it. The client will not send them again, for the frontend's kernel has
 * acknowledged them.
 */
export class Player {
  readonly #unread: Unread
  readonly #device: AdoptDevice
  readonly #programs: AdoptPrograms
  readonly #onDone: () => void
  #waitMs = FIRST_WAIT_MS
  #timer: NodeJS.Timeout | undefined

  /** @param onDone everything was taken, or the connection is over */
  constructor(unread: Unread, device: AdoptDevice, programs: AdoptPrograms, onDone: () => void) {
    this.#unread = unread
    this.#device = device
    this.#programs = programs
    this.#onDone = onDone
  }

  play(): void {
    const { mss, receive } = this.#unread.snapshot
    const { length } = receive.queue
    for (let round = 0; round < TURN_ROUNDS; round++) {
      const taken = this.#taken()
      if (taken === undefined || taken >= length) {
        this.#onDone()
        return
      }
      const frames: Buffer[] = []
      for (let at = taken; at < length && frames.length < ROUND_SEGMENTS; at += mss) {
        frames.push(segmentFrame(segmentAt(this.#unread, at, mss)))
      }
      this.#device.play(frames)
      if (this.#taken() === taken) {
        this.#wait()
        return
      }
      this.#waitMs = FIRST_WAIT_MS
    }
    this.#timer = setTimeout(() => this.play(), 0)
  }

  /** Plays no more. Whether everything was taken: {@link isMissing}. */
  stop(): void {
    clearTimeout(this.#timer)
    this.#onDone()
  }

  /** Whether the socket lives and lacks bytes. */
  isMissing(): boolean {
    const taken = this.#taken()
    return taken !== undefined && taken < this.#unread.snapshot.receive.queue.length
  }

  #taken(): number | undefined {
    return this.#programs.progress(segmentFrame(segmentAt(this.#unread, 0, 0)))
  }

  #wait(): void {
    this.#timer = setTimeout(() => this.play(), this.#waitMs)
    this.#waitMs = Math.min(LONGEST_WAIT_MS, this.#waitMs * 2)
  }
}
