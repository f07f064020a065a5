import assert from 'node:assert/strict'
import { test } from 'node:test'
import { dotCharts } from '../../bench/dots.js'
import { type Axis, linearTicks, linePlots, logTicks, share, sizeLabel } from '../../bench/plot.js'
import { barCharts } from '../../bench/svg.js'

test('ticks of a linear axis go in round steps from 0 beyond the greatest value', () => {
  const places = (most: number) => linearTicks(most).map(({ at }) => at)
  assert.deepEqual(places(2), [0, 0.5, 1, 1.5, 2])
  assert.deepEqual(places(2.1), [0, 1, 2, 3])
  assert.deepEqual(places(37), [0, 10, 20, 30, 40])
})

test('ticks of a logarithmic axis are the powers of ten around the values', () => {
  const places = (least: number, most: number) => logTicks(least, most).map(({ at }) => at)
  assert.deepEqual(places(3, 250), [1, 10, 100, 1000])
  assert.deepEqual(places(0.02, 0.5), [0.01, 0.1, 1])
  assert.deepEqual(places(10, 10), [10, 100])
})

test('a value stands between the outermost ticks, by its own measure or by its logarithm', () => {
  const axis = (scale: Axis['scale'], ...places: number[]): Axis => ({
    label: 'x',
    scale,
    ticks: places.map((at) => ({ at, label: String(at) })),
  })
  assert.equal(share(axis('linear', 0, 10), 5), 0.5)
  assert.equal(share(axis('log', 1, 100), 10), 0.5)
  assert.equal(share(axis('linear', 3), 3), 0.5)
})

test('a plot has each series once in its legend, its points, its spreads and escaped names', () => {
  const axis: Axis = { label: 'a & b', scale: 'linear', ticks: linearTicks(10) }
  const series = [
    { name: 'x < y', kind: 0, points: [{ x: 0, y: 1, low: 0, high: 2 }, { x: 10, y: 9 }] }, // biome-ignore format: as it is
  ]
  const svg = linePlots('title', [
    { title: 'one', x: axis, y: axis, series },
    { title: 'two', x: axis, y: axis, series },
  ])
  assert.equal(svg.match(/>x &lt; y<\/text>/g)?.length, 1)
  assert.match(svg, />a &amp; b<\/text>/)
  // Two panels of two points, and the legend's mark.
  assert.equal(svg.match(/<circle /g)?.length, 5)
  assert.equal(svg.match(/stroke-width="1"\/>/g)?.length, 2)
  assert.match(svg, /prefers-color-scheme: dark/)
})

test('sizes are told in powers of two', () => {
  assert.deepEqual([512, 1024, 65536, 67_108_864, 1_073_741_824].map(sizeLabel), [
    '512 B',
    '1 KiB',
    '64 KiB',
    '64 MiB',
    '1 GiB',
  ])
})

test('dots of all charts share one logarithmic axis', () => {
  const chart = (title: string, values: readonly number[]) => ({
    title,
    unit: 'µs',
    legend: ['p50', 'p99'],
    rows: [{ label: 'x < y', values, note: '1 · 2' }],
  })
  const svg = dotCharts('title', [chart('one', [10, 1000]), chart('two', [1000, 10_000])])
  const circles = [...svg.matchAll(/<circle cx="([\d.]+)"/g)].map((match) => Number(match[1]))
  const squares = [...svg.matchAll(/<rect x="([\d.]+)" y="[\d.]+" width="7"/g)].map((match) =>
    Number(match[1]),
  )
  // The legend's first, then those of the charts: 1000 stands at one place, as the first value and as the second.
  assert.equal(circles.length, 3)
  assert.ok(Math.abs(circles[2]! - (squares[1]! + 3.5)) < 0.2, `${circles} ${squares}`)
  assert.match(svg, /x &lt; y/)
  assert.match(svg, /prefers-color-scheme: dark/)
})

test('a bar shows how far the rounds went, on an axis that reaches so far', () => {
  const bars = [{ label: 'a', parts: [{ value: 10, kind: 0 }], spread: { min: 5, max: 19 }, note: '10' }]
  const svg = barCharts('title', [{ title: 't', unit: 'µs', legend: ['one'], bars }])
  const [, from, to] = /class="whisker" d="M([\d.]+),[\d.]+H([\d.]+)/.exec(svg) ?? []
  const zero = 230
  assert.ok(Math.abs((Number(to) - zero) / (Number(from) - zero) - 19 / 5) < 0.01)
  assert.match(svg, />20<\/text>/)
})
