import type { BpfMap } from '../kernel/bpf.js'
import { putBytes } from '../kernel/bytes.js'
import { FLOW_KEY_BYTES, type FlowKey } from '../kernel/flow.js'
import { orFail } from './failure.js'

const countBytes = 4
const MIN_BATCH = 256

/** How many frames of each flow the program has parked. The program begins and adds up, this process only ends. */
export class ParkedCounts {
  readonly #map: BpfMap
  #keys = Buffer.alloc(MIN_BATCH * FLOW_KEY_BYTES)
  #values = Buffer.alloc(MIN_BATCH * countBytes)
  #found = Buffer.alloc(MIN_BATCH)

  constructor(map: BpfMap) {
    this.#map = map
  }

  /** @returns one number a flow, undefined where nothing was parked since its count was removed; none at all: of no flow */
  of(keys: readonly FlowKey[]): readonly (number | undefined)[] {
    this.#reserve(keys.length)
    for (let index = 0; index < keys.length; index++) {
      putBytes(this.#keys, index * FLOW_KEY_BYTES, keys[index]!)
    }
    const found = orFail('BATON_STEERING_TABLE', 'parked', () =>
      this.#map.getMany(this.#keys, this.#values, this.#found, keys.length),
    )
    if (found === 0) return []
    return keys.map((_, index) =>
      this.#found[index] === 1 ? this.#values.readUInt32LE(index * countBytes) : undefined,
    )
  }

  /** Nothing of these flows waits any more, or nothing that will come: their gates are open. */
  remove(keys: readonly FlowKey[]): void {
    if (keys.length === 0) return
    orFail('BATON_STEERING_TABLE', 'parked', () =>
      this.#map.delete(Buffer.concat(keys, keys.length * FLOW_KEY_BYTES), keys.length),
    )
  }

  #reserve(count: number): void {
    if (this.#found.length >= count) return
    this.#keys = Buffer.alloc(count * FLOW_KEY_BYTES)
    this.#values = Buffer.alloc(count * countBytes)
    this.#found = Buffer.alloc(count)
  }
}
