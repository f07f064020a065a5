import { copyOf } from '../kernel/bytes.js'
import { FLOW_KEY_BYTES, type FlowKey } from '../kernel/flow.js'
import type { GateLayout } from '../kernel/gate.js'
import type { Sight } from './judge.js'

const CAPACITY = 256
const ARENA_BYTES = 256 * 1024

/** The two buffers that the kernel's side fills for each batch, and how to read them. */
export class Records {
  readonly words: Int32Array
  readonly arena: Buffer
  readonly #layout: GateLayout
  readonly #bytes: Buffer

  constructor(layout: GateLayout, headBytes: number) {
    this.#layout = layout
    this.words = new Int32Array(CAPACITY * layout.recordWords)
    this.#bytes = Buffer.from(this.words.buffer)
    this.arena = Buffer.alloc(ARENA_BYTES + headBytes)
  }

  event(index: number): number {
    return this.#word(index, this.#layout.event)
  }

  fd(index: number): number {
    return this.#word(index, this.#layout.fd)
  }

  /** Index of the listener, or generation of the pending connection. */
  tag(index: number): number {
    return this.#word(index, this.#layout.tag)
  }

  /** A copy of the flow key of an accepted connection. */
  flow(index: number): FlowKey {
    const start = index * this.#layout.recordWords * 4 + this.#layout.flowBytes
    return copyOf(this.#bytes, start, FLOW_KEY_BYTES)
  }

  /** Its bytes are a view of the arena, which the next batch overwrites. */
  sight(index: number): Sight {
    const layout = this.#layout
    const start = this.#word(index, layout.offset)
    const length = this.#word(index, layout.length)
    const flags = this.#word(index, layout.flags)
    return {
      bytes: this.arena.subarray(start, start + Math.max(0, length)),
      length,
      queuedBytes: this.#word(index, layout.queued),
      halfClosed: (flags & layout.halfClosed) !== 0,
      hungUp: (flags & layout.hungUp) !== 0,
    }
  }

  #word(index: number, field: number): number {
    return this.words[index * this.#layout.recordWords + field]!
  }
}
