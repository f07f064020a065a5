import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { DeadlineWheel, noSlot, type Waiting } from '../../src/gate/deadline-wheel.js'
import { until } from './rig.js'

class Item implements Waiting {
  readonly name: string
  deadlineMs = Number.POSITIVE_INFINITY
  slot = noSlot
  constructor(name: string) {
    this.name = name
  }
}

describe('deadline wheel', () => {
  it('ends each item once, in time and never before, across more than a turn of the wheel', async () => {
    const ended: { item: Item; lateMs: number }[] = []
    const wheel = new DeadlineWheel<Item>(1, (items, nowMs) => {
      for (const item of items) ended.push({ item, lateMs: nowMs - item.deadlineMs })
    })
    const startMs = performance.now()
    for (const afterMs of [-5, 0, 3, 30, 511, 512, 513, 700]) {
      wheel.set(new Item(`${afterMs}`), startMs + afterMs)
    }
    await until('all of them', () => ended.length === 8)
    assert.ok(ended.every(({ lateMs }) => lateMs >= 0))
    assert.equal(new Set(ended.map(({ item }) => item.name)).size, 8)
    assert.equal(wheel.size, 0)
  })

  it('forgets an item that is taken out, and moves one that is set again', async () => {
    const ended: string[] = []
    const wheel = new DeadlineWheel<Item>(1, (items) => ended.push(...items.map(({ name }) => name)))
    const [out, moved, last, never] = ['out', 'moved', 'last', 'never'].map((name) => new Item(name)) as [
      Item,
      Item,
      Item,
      Item,
    ]
    const nowMs = performance.now()
    wheel.set(out, nowMs + 10)
    wheel.set(moved, nowMs + 10)
    wheel.set(last, nowMs + 20)
    wheel.set(never, Number.POSITIVE_INFINITY)
    wheel.delete(out)
    wheel.delete(out)
    wheel.set(moved, nowMs + 40)
    assert.equal(wheel.size, 2)
    await until('both', () => ended.length === 2)
    assert.deepEqual(ended, ['last', 'moved'])
    wheel.stop()
  })

  it('works again after it was empty', async () => {
    let ended = 0
    const wheel = new DeadlineWheel<Item>(1, (items) => {
      ended += items.length
    })
    for (let round = 1; round <= 3; round++) {
      wheel.set(new Item('again'), performance.now() + 5)
      await until(`round ${round}`, () => ended === round)
    }
  })

  it('lets its callback set and delete', async () => {
    const ended: string[] = []
    const first = new Item('first')
    const second = new Item('second')
    const wheel = new DeadlineWheel<Item>(1, (items) => {
      ended.push(...items.map(({ name }) => name))
      if (items.includes(first)) wheel.set(second, performance.now())
    })
    wheel.set(first, performance.now())
    await until('both', () => ended.length === 2)
    assert.deepEqual(ended, ['first', 'second'])
  })
})
