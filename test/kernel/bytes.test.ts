import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { copyOf, putBytes } from '../../src/kernel/bytes.js'

test('parts of any length are copied whole, and nothing beside them is touched', () => {
  const from = randomBytes(2000)
  for (const length of [0, 1, 36, 511, 512, 513, 1500]) {
    for (const start of [0, 7]) {
      const to = Buffer.alloc(2100, 0xee)
      assert.equal(putBytes(to, 40, from, start, length), 40 + length)
      assert.ok(to.subarray(40, 40 + length).equals(from.subarray(start, start + length)))
      assert.ok([...to.subarray(0, 40), ...to.subarray(40 + length)].every((byte) => byte === 0xee))
      const copy = copyOf(from, start, length)
      assert.ok(copy.equals(from.subarray(start, start + length)))
      copy.fill(0)
      assert.equal(from.equals(Buffer.alloc(2000)), false, 'a copy is its own')
    }
  }
  const whole = Buffer.alloc(2000)
  assert.equal(putBytes(whole, 0, from), 2000)
  assert.ok(whole.equals(from))
})
