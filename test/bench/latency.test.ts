import assert from 'node:assert/strict'
import { test } from 'node:test'
import { figuresOf as keptFigures } from '../../bench/keepalive/results.js'
import { figuresOf, type Sample } from '../../bench/latency/results.js'
import type { Way } from '../../bench/latency/ways.js'

const get = { address: '192.0.2.1', port: 80, host: 'www.example', path: '/' }
const way = (name: Way['name'], application: Way['application']): Way => ({
  name,
  title: name,
  application,
  get,
})
const ways = [
  way('direct', 'nginx'),
  way('haproxy', 'nginx'),
  way('baton-inline', 'node'),
  way('direct-node', 'node'),
]

test('what a way adds is told of the direct way to the same application, in the same round', () => {
  const round = (factor: number): Sample[] =>
    (['one', 'half'] as const).flatMap((condition) =>
      ways.map(({ name }, index) => ({
        way: name,
        condition,
        timesUs: [1, 2, 3].map((us) => us * factor * 10 ** index),
        errors: index,
      })),
    )
  const figures = figuresOf([round(1), round(3)], ways)
  const of = (name: Way['name']) => figures.find((one) => one.way === name && one.condition === 'one')!
  assert.equal(figures.length, 8)
  assert.deepEqual(of('haproxy').addedP50.rounds, [18, 54])
  assert.deepEqual(of('baton-inline').addedP50.rounds, [200 - 2000, 600 - 6000])
  assert.deepEqual(of('direct').addedP99.rounds, [0, 0])
  assert.deepEqual([of('haproxy').count, of('haproxy').errors], [6, 2])
  assert.ok(Math.abs(of('direct').p999 - 8.985) < 1e-9)
  assert.throws(() => figuresOf([[]], ways), RangeError)
})

test('kept connections are compared with direct ones of the same round, and with those past a host that forwards', () => {
  const all = [...ways, way('direct-forwarded', 'nginx')]
  const round = (rates: readonly number[]) =>
    all.map(({ name }, index) => {
      const perSecond = rates[index]!
      return { way: name, answered: 10, errors: 1, perSecond, backendUs: 1000 / perSecond, frontendUs: 1 }
    })
  const figures = keptFigures([round([100, 50, 30, 60, 80]), round([10, 20, 60, 60, 40])], all)
  assert.deepEqual(
    figures.map(({ toDirect }) => toDirect.rounds),
    [
      [1, 1],
      [0.5, 2],
      [0.5, 1],
      [1, 1],
      [0.8, 4],
    ],
  )
  assert.deepEqual(figures[1]?.toForwarded.rounds, [0.625, 0.5])
  assert.deepEqual([figures[1]?.answered, figures[1]?.errors], [20, 2])
  assert.deepEqual(figures[1]?.backendToDirect.rounds, [0.5, 2])
})
