import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ownGroup, statOf } from '../../bench/idle/memory.js'
import { judge, type Measurement, perConnection } from '../../bench/idle/results.js'

const step = (connections: number, userBytes: number, kernelBytes: number): Measurement => ({
  peer: 'baton-adopt',
  connections,
  userBytes,
  kernelBytes,
  sockets: 0,
})

test('memory by connection is the slope, whatever the frontend has at the beginning', () => {
  const steps = [step(0, 50e6, 16e6), step(1000, 50e6 + 100_000, 16e6 + 150_000)]
  assert.ok(Math.abs(perConnection(steps, ['userBytes']) - 100) < 1e-6)
  assert.ok(Math.abs(perConnection(steps, ['kernelBytes']) - 150) < 1e-6)
  const [goal] = judge([...steps, step(2000, 50e6 + 200_000, 16e6 + 300_000)])
  assert.ok(Math.abs((goal?.value ?? 0) - 250) < 1e-6)
  assert.deepEqual([goal?.name, goal?.ok], ['memory of the frontend by connection, to 2000', true])
})

test('memory control groups of both versions are read', () => {
  assert.equal(statOf('cache 1\nrss 4096\ntotal_rss 9\n', 'rss'), 4096)
  assert.throws(() => statOf('cache 1\n', 'anon'), /no anon/)
  const mixed = '9:name=systemd:/\n4:memory:/a/b\n3:cpu,cpuacct:/\n0::/c\n'
  assert.equal(ownGroup(mixed, true), '/a/b')
  assert.equal(ownGroup(mixed, false), '/c')
  assert.throws(() => ownGroup('3:cpu:/\n', true), /no memory control group/)
})
