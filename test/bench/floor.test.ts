import assert from 'node:assert/strict'
import { test } from 'node:test'
import { floorProgram } from '../../bench/floor/index.js'
import { tables } from '../../bench/floor/show.js'
import { sides, timesOf } from '../../bench/floor/steps.js'
import { standardTopology } from '../../src/lab/index.js'

const stepNames = sides.flatMap(({ steps }) => Object.keys(steps))

test('a side is the sum of its steps in each round, not of their medians', () => {
  const rounds = Object.fromEntries(stepNames.map((step) => [step, [0, 0, 0]]))
  const { steps, sides: wholes } = timesOf(1, { ...rounds, accept: [1, 2, 9], peek: [9, 2, 1] })
  assert.deepEqual([steps.accept?.median, steps.peek?.median], [2, 2])
  assert.equal(wholes['handoff, frontend']?.median, 10)
  assert.equal(wholes['handoff, agent']?.median, 0)
  assert.throws(() => timesOf(1, { accept: [1] }), /there is no step/)
})

test('connections are really handed over and really proxied, and every step is timed', async () => {
  const net = standardTopology({ prefix: 'btfloortest', frontends: 1, backends: 1 })
  try {
    const [frontend, backend] = [net.frontends[0]!, net.backends[0]!]
    const hosts = [net.client.path, frontend.path, backend.path]
    const output = await net.router.run(floorProgram(), [...hosts, net.vip4, backend.ipv4, '4', '3'])
    const rounds = JSON.parse(output) as Record<string, number[]>
    assert.deepEqual(Object.keys(rounds).sort(), [...stepNames].sort())
    for (const [step, times] of Object.entries(rounds)) {
      assert.equal(times.length, 3, step)
      assert.ok(
        times.every((us) => us > 0),
        step,
      )
    }
    const text = tables([timesOf(4, rounds)])
    for (const { name } of sides) assert.ok(text.includes(name), name)
  } finally {
    await net.dispose()
  }
})
