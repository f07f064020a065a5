import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Rounds, type Watched } from '../../src/handoff/rounds.js'
import { until } from './pair.js'

/** Due `everyMs` after each look. */
class Clock implements Watched {
  dueAt: number
  looks: number[] = []
  excusedMs = 0
  readonly #everyMs: number

  constructor(everyMs: number) {
    this.#everyMs = everyMs
    this.dueAt = performance.now() + everyMs
  }

  look(now: number): void {
    this.looks.push(now)
    this.dueAt = now + this.#everyMs
  }

  excuse(lateMs: number): void {
    this.excusedMs += lateMs
  }
}

test('a hundred that are due at nearly the same time are looked at in one go', async () => {
  const rounds = new Rounds()
  const clocks = Array.from({ length: 100 }, (_, index) => new Clock(200 + (index % 7)))
  for (const clock of clocks) rounds.add(clock)
  await until('three rounds', () => clocks[0]!.looks.length >= 3)
  for (const clock of clocks) rounds.delete(clock)
  const times = new Set(clocks.flatMap(({ looks }) => looks))
  assert.equal(times.size, clocks[0]!.looks.length)
  assert.ok(clocks.every(({ looks }) => looks.length === times.size))
})

test('whoever comes later and is due earlier is not kept waiting', async () => {
  const rounds = new Rounds()
  const late = new Clock(3_600_000)
  const early = new Clock(50)
  rounds.add(late)
  rounds.add(early)
  await until('its look', () => early.looks.length > 0)
  rounds.delete(early)
  rounds.delete(late)
})

test('nobody is looked at once it is gone, even by a look of the same round', async () => {
  const rounds = new Rounds()
  const second = new Clock(1)
  const first = new Clock(1)
  first.look = () => {
    first.looks.push(0)
    rounds.delete(first)
    rounds.delete(second)
  }
  rounds.add(first)
  rounds.add(second)
  await until('the first', () => first.looks.length > 0)
  await new Promise((resolve) => setTimeout(resolve, 300))
  assert.equal(first.looks.length, 1)
  assert.equal(second.looks.length, 0)
})

test('time in which the process stood still is told before the look', async () => {
  const rounds = new Rounds()
  const clock = new Clock(50)
  rounds.add(clock)
  const standing = performance.now()
  while (performance.now() - standing < 1000);
  await until('its look', () => clock.looks.length > 0)
  rounds.delete(clock)
  assert.ok(clock.excusedMs > 250, `${clock.excusedMs}`)
})
