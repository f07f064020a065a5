import assert from 'node:assert/strict'
import { test } from 'node:test'
import { judge, kept, longestStall, lost, type Measurement } from '../../bench/death/results.js'

const round = (peer: Measurement['peer'], more: Partial<Measurement>): Measurement => ({
  ...{ peer, awayMs: 100, bytes: 1, whole: 0, flowing: 0, stuck: 0, reset: 0, early: 0, refused: 0 },
  stallsMs: [],
  ...more,
})

test('whoever is not at its end and gets nothing any more is lost, too', () => {
  const measured = [
    round('nginx', { whole: 1, flowing: 2, stuck: 3, reset: 4, early: 5, refused: 6, stallsMs: [100, 300] }),
  ]
  assert.equal(lost(measured, 'nginx').median, 18)
  assert.equal(kept(measured, 'nginx').median, 3)
  assert.equal(longestStall(measured, 'nginx').median, 300)
})

test('the worst round decides whether the frontend cost connections', () => {
  const good = round('baton-adopt', { flowing: 1000 })
  assert.equal(judge([good, good])[0]?.ok, true)
  const bad = judge([good, round('baton-adopt', { flowing: 999, reset: 1 }), good])[0]
  assert.deepEqual([bad?.value, bad?.ok], [1, false])
})
