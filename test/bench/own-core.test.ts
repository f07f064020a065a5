import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer } from 'node:net'
import { test } from 'node:test'
import { threadsNs } from '../../bench/cpu.js'
import { cpuList } from '../../bench/own-core.js'
import { Softirq, type SoftirqNs } from '../../bench/softirq/index.js'

test('a list of CPUs is read as the kernel writes it', () => {
  assert.deepEqual(cpuList('0-3,8\n'), [0, 1, 2, 3, 8])
  assert.deepEqual(cpuList('1'), [1])
})

test('the CPU time of threads only grows', () => {
  const before = threadsNs([process.pid])
  for (let index = 0; index < 1e6; index++) Math.sqrt(index)
  assert.ok(threadsNs([process.pid]) > before)
  assert.equal(threadsNs([]), 0)
})

test('packets of loopback connections are counted as softirq, inside the process that sends them', async () => {
  const server = createServer((socket) => socket.pipe(socket)).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const softirq = new Softirq()
  const sum = (cpus: readonly SoftirqNs[], part: keyof SoftirqNs) =>
    cpus.reduce((total, cpu) => total + cpu[part], 0)
  try {
    const before = await softirq.read()
    assert.equal(sum(before, 'inside'), 0)
    softirq.own([process.pid])
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
    for (let round = 0; round < 200; round++) {
      socket.write('x')
      await once(socket, 'data')
    }
    socket.destroy()
    const after = await softirq.read()
    assert.ok(sum(after, 'inside') > 0)
    assert.ok(sum(after, 'outside') >= sum(before, 'outside'))
  } finally {
    softirq.close()
    server.close()
  }
})
