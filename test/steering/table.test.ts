import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import { isBatonError } from '../../src/errors/index.js'
import type { FlowKey } from '../../src/kernel/flow.js'
import { nextHops, Wire } from './wire.js'

const million = 1_000_000
const batch = 10_000

describe('a large table', () => {
  const wire = new Wire('bttable')
  after(() => wire.dispose())

  test('takes a million flows in batches, gives each back, and is empty when they are removed', () => {
    const steering = wire.open({ maxFlows: 1 << 20 })
    const base = wire.flow('ipv6').key
    const key = (number: number): FlowKey => {
      const copy = Buffer.from(base)
      copy.writeUInt32BE(number, 12)
      return copy
    }
    const batches = (each: (numbers: number[]) => void) => {
      for (let start = 0; start < million; start += batch) {
        each(Array.from({ length: batch }, (_, index) => start + index))
      }
    }
    batches((numbers) => {
      steering.steer(numbers.map((number) => ({ key: key(number), id: number, nextHop: nextHops.ipv6 })))
    })
    assert.equal(steering.stats().flows, million)
    for (const number of [0, 1, 499_999, 999_999]) assert.equal(steering.get(key(number))?.id, number)
    let sum = 0
    for (const [own, entry] of steering.entries()) sum += entry.id === own.readUInt32BE(12) ? 1 : 0
    assert.equal(sum, million)
    let silent = 0
    for (const flows of steering.idle(3_600_000)) silent += flows.length
    assert.equal(silent, million)
    batches((numbers) => steering.drop(numbers.map(key)))
    assert.equal(steering.stats().flows, 0)
    wire.detach()
  })

  test('that is full refuses a whole batch to park, and keeps what it holds', () => {
    const steering = wire.open({ maxFlows: 100 })
    const flows = Array.from({ length: 101 }, () => wire.flow('ipv4').key)
    const entries = (keys: FlowKey[]) => keys.map((key) => ({ key, id: 1, nextHop: nextHops.ipv4 }))
    steering.steer(entries(flows.slice(0, 90)))
    for (const count of [11, 1]) {
      const added = flows.slice(90, 90 + count)
      if (count === 1) steering.steer(entries(flows.slice(90, 100)))
      assert.throws(
        () => steering.park(entries(count === 1 ? flows.slice(100) : added)),
        (error) => isBatonError(error, 'BATON_STEERING_FULL') && error.retryable,
      )
      assert.equal(steering.stats().flows, count === 1 ? 100 : 90)
    }
    assert.equal(steering.get(flows[0]!)?.state, 'steer')
    wire.detach()
  })

  test('drops keys that are not there without stopping at them', () => {
    const steering = wire.open()
    const flows = Array.from({ length: 10 }, () => wire.flow('ipv4').key)
    steering.steer(
      flows.filter((_, index) => index % 2 === 1).map((key) => ({ key, id: 1, nextHop: nextHops.ipv4 })),
    )
    steering.drop(flows)
    assert.equal(steering.stats().flows, 0)
    wire.detach()
  })
})
