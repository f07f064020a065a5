import assert from 'node:assert/strict'
import { test } from 'node:test'
import { repairDoor } from '../../src/kernel/repair.js'

test('the register file has the layout that the addon was compiled with', () => {
  const { registers, at, finish, steps, calls } = repairDoor()
  const layout = calls.repairLayout()
  assert.equal(registers.length, layout.registers.length)
  assert.equal(new Set(layout.registers).size, layout.registers.length)
  assert.equal(new Set(layout.steps).size, layout.steps.length)
  assert.deepEqual(steps, layout.steps)
  for (const [name, index] of Object.entries(at)) assert.equal(layout.registers[index], name)
  for (const [name, index] of Object.entries(finish)) assert.equal(layout.finishes[index], name)
  const words = ['congestion', 'congestion1', 'congestion2', 'congestion3']
  assert.deepEqual(layout.registers.slice(at.congestion, at.congestion + 4), words)
})

test('the addon refuses arguments of another shape before it touches a socket', () => {
  const { registers, calls } = repairDoor()
  const short = new Uint32Array(1)
  const key = Buffer.alloc(36)
  const none = Buffer.alloc(0)
  assert.throws(() => calls.repairFreeze(0, short, none, key, true, false), TypeError)
  assert.throws(() => calls.repairFreeze(0, registers, none, Buffer.alloc(35), true, false), RangeError)
  assert.throws(() => calls.repairRestore(registers, Buffer.alloc(37), none, none), RangeError)
  assert.throws(() => calls.repairThaw(0, short, 0), TypeError)
  assert.throws(() => calls.repairDiscard(0, short), TypeError)
  const bytes: unknown = Reflect.apply(calls.repairThaw, calls, [-1, registers, 0])
  assert.equal(typeof bytes, 'number')
})
