import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { InFlight } from '../../src/handoff/in-flight.js'

const base = 0x1f_ffff * 0x1_0000_0000

describe('what is under way', () => {
  test('is found by its id until it is deleted, whether or not its slot was free', () => {
    const inFlight = new InFlight<{ id: number }>()
    // Ids 4096 apart share a slot; the counter of 32 bits wraps.
    const ids = [base + 1, base + 1 + 4096, base + 1 + 2 * 4096, base + 0xffff_ffff, base]
    const items = ids.map((id) => ({ id }))
    for (const item of items) inFlight.add(item)
    assert.equal(inFlight.size, ids.length)
    assert.deepEqual(
      ids.map((id) => inFlight.get(id)),
      items,
    )
    assert.equal(inFlight.get(base + 2), undefined)
    assert.equal(inFlight.get(base + 1 + 3 * 4096), undefined)

    assert.equal(inFlight.delete(base + 1), true)
    assert.equal(inFlight.delete(base + 1), false)
    assert.equal(inFlight.get(base + 1), undefined)
    assert.equal(inFlight.get(base + 1 + 4096), items[1], 'the one that shared its slot is still there')
    inFlight.add({ id: base + 1 })
    assert.equal(inFlight.size, ids.length)
    for (const id of ids) assert.equal(inFlight.delete(id), true)
    assert.deepEqual([inFlight.size, [...inFlight.values()]], [0, []])
  })

  test('is given out whole, also while it is deleted', () => {
    const inFlight = new InFlight<{ id: number }>()
    const ids = Array.from({ length: 5000 }, (_, index) => base + index * 3)
    for (const id of ids) inFlight.add({ id })
    const seen: number[] = []
    for (const { id } of inFlight.values()) {
      seen.push(id)
      inFlight.delete(id)
    }
    assert.deepEqual(
      seen.sort((a, b) => a - b),
      ids,
    )
    assert.equal(inFlight.size, 0)
  })
})
