import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Accounted, Download } from '../../bench/adopt/measure.js'
import { firstByte, judge, type Measured, toDirect } from '../../bench/adopt/results.js'
import type { PeerName } from '../../bench/peers/peer.js'

const GIB = 2 ** 30
const download = (peer: PeerName, gbitPerSecond: number, crossedBytes = 0): Download => ({
  peer,
  seconds: 1,
  gbitPerSecond,
  crossedBytes,
  agentMs: 0,
  frontendMs: 0,
})
const accounted = (agentMs: number): Accounted[] => [
  { peer: 'baton-adopt', agentMs, frontendMs: 0, frontendPacketsMs: 0 },
]
const measured: Measured = {
  bytes: GIB,
  downloads: [
    [download('direct', 10), download('baton-adopt', 9.5, GIB / 100)],
    [download('baton-adopt', 4, GIB / 50), download('direct', 5)],
    [download('direct', 20), download('baton-adopt', 19, GIB / 1000)],
  ],
  accounted: [accounted(30), accounted(2), accounted(4)],
  firstBytesUs: [new Map([['direct', [1, 5, 3]]]), new Map([['direct', [7]]])],
  rates: [],
}

test('adopt is compared with the direct connection of the same round', () => {
  const { median, min, max } = toDirect(measured, 'baton-adopt')
  assert.deepEqual([median, min, max], [0.95, 0.8, 0.95])
  const http = [download('direct', 10), download('baton-adopt', 9), download('baton-http', 2)]
  const some = { ...measured, downloads: [...measured.downloads, http] }
  assert.deepEqual(toDirect(some, 'baton-http').rounds, [0.2])
  assert.throws(() => toDirect(measured, 'baton-http'), RangeError)
})

test('its goals are those of the medians', () => {
  assert.deepEqual(
    judge(measured).map(({ value, ok }) => [value, ok]),
    [
      [0.95, true],
      [4, true],
      [1, true],
    ],
  )
  const dear = judge({ ...measured, accounted: [accounted(11)] })
  assert.deepEqual(
    dear.map(({ ok }) => ok),
    [true, false, true],
  )
})

test('the time to the first byte is a median of medians', () => {
  assert.equal(firstByte(measured, 'direct').median, 5)
})
