import assert from 'node:assert/strict'
import { test } from 'node:test'
import { judge, type Measurement, rateOf } from '../../bench/throughput/results.js'

const one = (peer: Measurement['peer'], backends: number, gbitPerSecond: number): Measurement => ({
  peer,
  backends,
  bytes: 4 * 2 ** 20,
  gbitPerSecond,
  answers: 10,
})

test('throughput is judged as the share of all backends’ links that Baton fills', () => {
  const measured = [
    ...[one('baton-adopt', 1, 0.47), one('baton-adopt', 1, 0.48), one('baton-adopt', 1, 0.2)],
    ...[one('haproxy', 1, 0.46), one('baton-adopt', 4, 1.8)],
  ]
  assert.equal(rateOf(measured, 'baton-adopt', 1, 4 * 2 ** 20).median, 0.47)
  const [single, four] = judge(measured, 500)
  assert.deepEqual([single?.name, single?.value, single?.ok], ['4 MiB from 1 backend', 0.94, false])
  assert.deepEqual([four?.name, four?.value, four?.ok], ['4 MiB from 4 backends', 0.9, false])
  assert.equal(judge([one('baton-adopt', 2, 0.95)], 500)[0]?.ok, true)
})
