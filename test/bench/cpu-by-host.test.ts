import assert from 'node:assert/strict'
import { test } from 'node:test'
import { forLoad, type Measurement, type Spent } from '../../bench/cpu/measurement.js'
import { crossover, judge, perGigabyte, perRequest } from '../../bench/cpu/results.js'
import { Snapshot } from '../../bench/host-cpu/index.js'

const nothing: Spent = {
  frontend: 0,
  frontendPackets: 0,
  backends: 0,
  network: 0,
  client: 0,
  otherSoftirq: 0,
  busy: 0,
}
const measurement = (
  peer: Measurement['peer'],
  size: number,
  answers: number,
  spent: Partial<Spent>,
): Measurement => ({
  peer,
  size,
  load: { pid: 1, seconds: 2, bytes: size * answers, answers, lost: 0, cpuSeconds: 0 },
  spent: { ...nothing, ...spent },
})

test('what a peer needs at rest is taken off, for as long as the load lasted', () => {
  const atRest = measurement('nginx', 0, 0, { frontend: 0.02, backends: 0.04 })
  const one = measurement('nginx', 1024, 1000, { frontend: 0.12, backends: 0.2, client: 0.1, network: 0.1 })
  assert.ok(Math.abs(forLoad(one, atRest, 'frontend') - 0.1) < 1e-12)
  assert.ok(Math.abs(forLoad(one, atRest, 'whole') - 0.46) < 1e-12)
  assert.ok(Math.abs(perRequest([atRest, one], 'nginx', 1024, 'frontend').median - 100) < 1e-9)
  assert.ok(Math.abs(perGigabyte([atRest, one], 'nginx', 1024, 'frontend').median - 0.1 / 0.001024) < 1e-6)
  assert.throws(() => perRequest([one], 'nginx', 1024, 'frontend'), /not measured at rest/)
})

test('curves cross where they meet for the last time', () => {
  const sizes = [1, 4, 16, 64]
  const near = (found: number | undefined, expected: number) =>
    assert.ok(Math.abs((found ?? 0) - expected) < 1e-9, `${found}`)
  near(crossover(sizes, [8, 8, 8, 8], [[2, 4, 16, 64]]), 8)
  // The cheaper one of the others counts.
  const others = [
    [2, 4, 16, 64],
    [9, 9, 4, 64],
  ]
  near(crossover(sizes, [8, 8, 8, 8], others), 16 * 4 ** (1 / 4))
  assert.equal(crossover(sizes, [1, 1, 1, 1], [[2, 4, 16, 64]]), 1)
  assert.equal(crossover(sizes, [99, 99, 99, 99], [[2, 4, 16, 64]]), undefined)
})

test('CPU is judged by each size of large objects, and by the size from which Baton is cheaper', () => {
  const round = (peer: Measurement['peer'], small: number, large: number, largest: number) => [
    measurement(peer, 0, 0, {}),
    measurement(peer, 1024, 1000, { frontend: small }),
    measurement(peer, 67_108_864, 1, { frontend: large }),
    measurement(peer, 1_073_741_824, 1, { frontend: largest }),
  ]
  const measured = [
    ...round('baton-adopt', 0.06, 0.001, 0.008),
    ...round('haproxy', 0.03, 0.1, 1.6),
    ...round('haproxy-splice', 0.03, 0.02, 0.32),
  ]
  const [large, largest, from] = judge(measured)
  assert.match(large?.name ?? '', /64 MiB$/)
  assert.ok(Math.abs((large?.value ?? 0) - 20) < 1e-9)
  assert.equal(large?.ok, false)
  assert.match(largest?.name ?? '', /1 GiB$/)
  assert.ok(Math.abs((largest?.value ?? 0) - 40) < 1e-9)
  assert.equal(largest?.ok, true)
  assert.ok((from?.value ?? 0) > 1 && (from?.value ?? 0) < 16 && from?.ok === true, `${from?.value}`)
})

test('softirq goes to the network whose packets it was, and off the process that it interrupted', () => {
  const snapshot = new Snapshot({ networks: { 7: 2_000_000_000 }, processes: { 0: 1e9, 42: 1_500_000_000 } })
  assert.equal(snapshot.interrupting(42), 1.5)
  assert.equal(snapshot.interrupting(43), 0)
  assert.equal(snapshot.otherSoftirq, 0.5)
})
