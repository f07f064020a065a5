import assert from 'node:assert/strict'
import { test } from 'node:test'
import { busySeconds, cpuOf, cpuSeconds } from '../../bench/cpu.js'

test('CPU time of a process is read, whatever its name', () => {
  const { user, system } = cpuSeconds(process.pid)
  assert.ok(user > 0 && system >= 0 && user + system < 600, `${user} ${system}`)
})

test('several processes are added up', () => {
  const once = cpuSeconds(process.pid)
  const twice = cpuOf([process.pid, process.pid])
  assert.ok(twice.user >= 2 * once.user && twice.system >= 2 * once.system)
  assert.deepEqual(cpuOf([]), { user: 0, system: 0 })
})

test('busy is what is neither idle, nor waiting for a disk, nor stolen by the host', () => {
  const stat = 'cpu  100 20 300 9999 500 6 70 8888 0 0\ncpu0 1 1 1 1 1 1 1 1 0 0\nctxt 1\n'
  assert.equal(busySeconds(stat), 4.96)
  assert.ok(busySeconds() > 0)
  assert.ok(Number.isNaN(busySeconds('nothing')))
})
