import type { BpfMap } from '../kernel/bpf.js'
import { FLOW_KEY_BYTES, type FlowKey } from '../kernel/flow.js'
import { orFail } from './failure.js'

const countBytes = 4

/** How many frames of each flow the program has parked. The program begins and adds up, this process only ends. */
export class ParkedCounts {
  readonly #map: BpfMap

  constructor(map: BpfMap) {
    this.#map = map
  }

  /** @returns one number a flow; undefined: nothing was parked since its count was removed */
  of(keys: readonly FlowKey[]): (number | undefined)[] {
    const values = Buffer.alloc(keys.length * countBytes)
    const found = Buffer.alloc(keys.length)
    orFail('BATON_STEERING_TABLE', 'parked', () =>
      this.#map.getMany(Buffer.concat(keys), values, found, keys.length),
    )
    return keys.map((_, index) => (found[index] === 1 ? values.readUInt32LE(index * countBytes) : undefined))
  }

  /** Nothing of these flows waits any more, or nothing that will come: their gates are open. */
  remove(keys: readonly FlowKey[]): void {
    if (keys.length === 0) return
    orFail('BATON_STEERING_TABLE', 'parked', () =>
      this.#map.delete(Buffer.concat(keys, keys.length * FLOW_KEY_BYTES), keys.length),
    )
  }
}
