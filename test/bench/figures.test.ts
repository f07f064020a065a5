import assert from 'node:assert/strict'
import { test } from 'node:test'
import { atLeast, atMost, combined } from '../../bench/report.js'
import { median, ofRounds, quantile, short, spread, summary } from '../../bench/statistics.js'
import { barCharts } from '../../bench/svg.js'
import { goalTable, table } from '../../bench/table.js'

test('quantiles stand between the two nearest values', () => {
  assert.equal(median([3, 1, 2]), 2)
  assert.equal(median([4, 1, 2, 3]), 2.5)
  assert.equal(quantile([10, 20], 0.99), 19.9)
  assert.equal(quantile([7], 0.5), 7)
  assert.throws(() => quantile([], 0.5), RangeError)
})

test('a summary and the spread of rounds keep the extremes', () => {
  assert.deepEqual(summary([5, 1, 9]), {
    count: 3,
    median: 5,
    p99: quantile([1, 5, 9], 0.99),
    min: 1,
    max: 9,
  })
  assert.equal(spread(ofRounds([12.34, 10, 1234])), '12.3 (10.0–1234)')
  assert.equal(short(0), '0')
  assert.equal(short(0.00123), '0.001')
})

test('a table lines its columns up', () => {
  assert.equal(
    table(['what', 'µs'], [['a', '1'], ['bcdef', '10']]), // biome-ignore format: as it looks
    'what   µs\n─────  ──\na       1\nbcdef  10',
  )
})

test('a chart draws each bar to scale and escapes its texts', () => {
  const part = (value: number) => [{ value, kind: 0 }]
  const svg = barCharts('a < b', [
    {
      title: 't',
      unit: 'µs',
      legend: ['one'],
      bars: [
        { label: 'x & y', parts: part(10), note: '' },
        { label: 'z', parts: part(5), note: '5' },
      ],
    },
  ])
  assert.match(svg, /<title>a &lt; b<\/title>/)
  assert.match(svg, />a &lt; b<\/text>/)
  assert.match(svg, /x &amp; y/)
  const widths = [...svg.matchAll(/<rect x="[\d.]+" y="\d+" width="([\d.]+)"/g)].map((match) =>
    Number(match[1]),
  )
  assert.equal(widths.length, 2)
  assert.equal(widths[0], 2 * (widths[1] ?? 0))
})

test('goals are judged, shown, and keep the name of their benchmark among others', () => {
  const goals = [atMost('time', 26, 'µs', 25), atLeast('rate', 8000, '1/s', 8000)]
  assert.deepEqual(goals[0], { name: 'time', value: 26, unit: 'µs', goal: '≤ 25', ok: false })
  assert.equal(goals[1]?.ok, true)
  assert.match(goalTable(goals), /time +26\.0 +µs +≤ 25 +no\n.*rate +8000 +1\/s +≥ 8000 +yes/)
  const all = combined('all', [
    { bench: 'one', goals, data: { a: 1 } },
    { bench: 'two', goals: [], data: { b: 2 } },
  ])
  assert.deepEqual(
    all.goals.map(({ name }) => name),
    ['one: time', 'one: rate'],
  )
  assert.deepEqual(all.data, { one: { a: 1 }, two: { b: 2 } })
})
