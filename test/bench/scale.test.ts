import assert from 'node:assert/strict'
import { test } from 'node:test'
import { figuresOf as handoffFigures, type Sample } from '../../bench/handoffs/results.js'
import {
  cells,
  effectsOf,
  type Sample as ScaleSample,
  figuresOf as scaleFigures,
} from '../../bench/scale/results.js'
import { grown, named } from '../../bench/scale/show.js'

const scaleSample = (cell: (typeof cells)[number], cpuUs: number): ScaleSample => ({
  cell,
  handoffs: 10,
  errors: 1,
  cpuUs,
  packetNs: 100,
  packets: 5,
  phases: { freeze: { meanUs: cpuUs / 10, medianUs: 0, p99Us: 0 } },
})

test('each cell is compared with the first of its own round', () => {
  const round = (base: number) => cells.map((cell, index) => scaleSample(cell, base * (1 + index / 10)))
  const figures = scaleFigures([round(100), round(300), round(200)])
  assert.deepEqual(
    figures.map(({ ratio }) => Math.round(ratio.median * 10) / 10),
    [1, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.7, 1.8],
  )
  assert.equal(figures[0]?.cpuUs.median, 200)
  assert.deepEqual(figures[0]?.phasesUs.freeze?.rounds, [10, 30, 20])
  assert.deepEqual([figures[5]?.handoffs, figures[5]?.errors], [30, 3])
  assert.deepEqual(cells.map(named).slice(1, 4), [
    '10 flows, 10 agents',
    '10 flows, 100 agents',
    '10 000 flows, 1 agent',
  ])
})

test('what more flows or more agents cost is told apart, in the same round', () => {
  const round = (base: number) =>
    cells.map((cell) =>
      scaleSample(
        cell,
        base *
          (cell.flows === 1_000_000 ? 1.5 : 1) *
          (cell.agents === 100 ? 2 : cell.agents === 10 ? 1.25 : 1),
      ),
    )
  const told = effectsOf([round(100), round(300)]).map(({ of, ratio }) => [grown(of), ...ratio.rounds])
  assert.deepEqual(told, [
    ['10 000 flows', 1, 1],
    ['1 000 000 flows', 1.5, 1.5],
    ['10 agents', 1.25, 1.25],
    ['100 agents', 2, 2],
  ])
})

test('a frontend is compared with HAProxy by what a connection costs its host in all', () => {
  const sample = (peer: Sample['peer'], processUs: number, softirqUs: number): Sample => ({
    peer,
    connections: 1000,
    errors: 0,
    perSecond: 500,
    hostUs: processUs + softirqUs,
    softirqUs,
  })
  const rounds = [
    [sample('haproxy', 30, 20), sample('baton-inline', 15, 10)],
    [sample('haproxy', 50, 30), sample('baton-inline', 30, 10)],
    [sample('haproxy', 20, 20), sample('baton-inline', 40, 40)],
  ]
  const [haproxy, baton] = handoffFigures(rounds, ['haproxy', 'baton-inline'])
  assert.deepEqual(haproxy?.toHaproxy.rounds, [1, 1, 1])
  assert.deepEqual(baton?.toHaproxy.rounds, [2, 2, 0.5])
  assert.equal(haproxy?.hostUs.median, 50)
  assert.equal(haproxy?.perCoreSecond.median, 20_000)
  assert.equal(baton?.connections, 3000)
  assert.throws(() => handoffFigures(rounds, ['nginx']), RangeError)
})
