import { BatonError } from '../errors/index.js'
import type { BpfMap } from '../kernel/bpf.js'
import { addressBytes, type Endpoint } from '../kernel/flow.js'
import { orFail } from './failure.js'
import { listenerLayout } from './layout.js'

const value = Buffer.from([1, 0, 0, 0])

/** Replaces the program's list of listeners: first the new ones come, then the old ones go. */
export function writeListeners(map: BpfMap, listeners: readonly Endpoint[]): void {
  const wanted = new Map<string, Buffer>()
  for (const { address, port } of listeners) {
    const key = Buffer.alloc(listenerLayout.size)
    addressBytes(address).copy(key, listenerLayout.offsets.address)
    key.writeUInt16BE(port, listenerLayout.offsets.port)
    wanted.set(key.toString('hex'), key)
  }
  orFail('BATON_STEERING_TABLE', 'listeners', () => {
    const old: Buffer[] = []
    for (const { keys, count } of map.chunks()) {
      for (let index = 0; index < count; index++) {
        const key = Buffer.from(keys.subarray(index * listenerLayout.size, (index + 1) * listenerLayout.size))
        if (!wanted.has(key.toString('hex'))) old.push(key)
      }
    }
    for (const key of wanted.values()) {
      if (map.set(key, value) === 0)
        throw new BatonError('BATON_STEERING_FULL', { detail: `${map.info.maxEntries} listeners` })
    }
    for (const key of old) map.delete(key)
  })
}
