import assert from 'node:assert/strict'
import { test } from 'node:test'
import { OutcomeMemory } from '../../src/handoff/outcome-memory.js'

test('an outcome is remembered for its time, and forgotten in the next', () => {
  const memory = new OutcomeMemory<string>(60_000, 1000, 0)
  memory.set('f1', 1, 'adopted', 0)
  for (let now = 0; now < 60_000; now += 1000) {
    memory.set('f1', 1000 + now, 'refused', now)
    assert.equal(memory.get('f1', 1), 'adopted', `at ${now}`)
  }
  for (let now = 60_000; now <= 150_000; now += 1000) memory.set('f1', 1000 + now, 'refused', now)
  assert.equal(memory.get('f1', 1), undefined)
  assert.equal(memory.get('f1', 151_000), 'refused')
  assert.ok(memory.forgottenUpTo >= 0 && memory.forgottenUpTo <= 90_000, `${memory.forgottenUpTo}`)
})

test('owners do not see each other’s outcomes, and the newest outcome counts', () => {
  const memory = new OutcomeMemory<string>(60_000, 1000, 0)
  memory.set('f1', 1, 'adopted', 0)
  memory.set('f2', 1, 'tombstone', 0)
  memory.set('f1', 1, 'ended', 40_000)
  assert.equal(memory.get('f1', 1), 'ended')
  assert.equal(memory.get('f2', 1), 'tombstone')
  assert.equal(memory.knows('f3'), false)
})

test('the number of outcomes is bounded, and what had to go is owned up to', () => {
  const memory = new OutcomeMemory<string>(60_000, 300, 0)
  assert.equal(memory.forgottenUpTo, Number.NEGATIVE_INFINITY)
  for (let id = 0; id < 10_000; id++) {
    memory.set('f1', id, 'adopted', id / 100)
    assert.ok(memory.size <= 300)
  }
  for (let id = 0; id < 10_000; id++) {
    if (memory.get('f1', id) === undefined) assert.ok(id / 100 <= memory.forgottenUpTo, `${id}`)
  }
  assert.ok(memory.forgottenUpTo < 100)
})
