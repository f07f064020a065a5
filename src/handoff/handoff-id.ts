import { randomInt } from 'node:crypto'
import type { HandoffId } from './messages.js'

const COUNTER = 0x1_0000_0000

/** Numbers for the handoffs of one process: 21 random bits chosen at its start, then a counter of 32 bits. */
export class HandoffIds {
  readonly #base = randomInt(1, 0x20_0000) * COUNTER
  #counter = 0

  next(): HandoffId {
    this.#counter = (this.#counter + 1) % COUNTER
    return this.#base + this.#counter
  }
}
