import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ASK_BACK_AFTER_MS, DEAD_AFTER_MS, Liveness } from '../../src/handoff/liveness.js'
import { ROUND_MS } from '../../src/handoff/rounds.js'

/** One side, looked at as the rounds do: at multiples of {@link ROUND_MS}, when it is due. */
class Side {
  readonly liveness: Liveness
  readonly asked: number[] = []
  nonce = 0
  verdict: 'dead' | undefined

  constructor(dialled: boolean) {
    this.liveness = new Liveness(0, dialled)
  }

  /** @returns whether it asks */
  look(now: number, unconfirmed = false): boolean {
    if (this.verdict === 'dead' || this.liveness.dueAt > now) return false
    const verdict = this.liveness.look(now, unconfirmed)
    if (verdict === 'dead') this.verdict = verdict
    if (verdict === 'ask') this.ask(now)
    return verdict === 'ask'
  }

  ask(now: number): void {
    this.nonce = this.liveness.ask(now)
    this.asked.push(now)
  }
}

/** Two sides, a millisecond apart, for `seconds`. `hears` says which of them hears the other at that time. */
function talk(
  seconds: number,
  hears: (now: number) => { readonly dialling: boolean; readonly dialled: boolean },
): { readonly dialling: Side; readonly dialled: Side } {
  const dialling = new Side(true)
  const dialled = new Side(false)
  const ask = (from: Side, to: Side, now: number) => {
    const open = hears(now)
    const [there, back] = from === dialling ? [open.dialled, open.dialling] : [open.dialling, open.dialled]
    if (!there) return
    to.liveness.heard(now + 1)
    const beside = to.liveness.asksBeside(now + 1, false)
    if (beside) to.ask(now + 1)
    if (!back) return
    from.liveness.heard(now + 2)
    from.liveness.pong(from.nonce, now + 2)
    if (beside) {
      to.liveness.heard(now + 3)
      to.liveness.pong(to.nonce, now + 3)
    }
  }
  for (let now = ROUND_MS; now <= seconds * 1000; now += ROUND_MS) {
    if (dialling.look(now)) ask(dialling, dialled, now)
    if (dialled.look(now)) ask(dialled, dialling, now)
  }
  return { dialling, dialled }
}

for (const dialled of [true, false]) {
  test(`the side that ${dialled ? 'dialled' : 'was dialled'} knows within 2 s that nothing comes any more`, () => {
    for (let last = 1; last < 2 * ROUND_MS; last += 7) {
      const side = new Side(dialled)
      side.ask(0)
      side.liveness.heard(last)
      let now = ROUND_MS
      for (; side.verdict === undefined; now += ROUND_MS) side.look(now)
      const silentMs = now - ROUND_MS - last
      assert.ok(silentMs >= DEAD_AFTER_MS && silentMs <= 2000, `dead after ${silentMs}`)
      const [, asked = now] = side.asked
      assert.ok(asked - last <= ASK_BACK_AFTER_MS + ROUND_MS, `asked after ${asked - last}`)
    }
  })
}

test('an idle channel has about one question a second, of the side that dialled, and both know the round trip', () => {
  const { dialling, dialled } = talk(60, () => ({ dialling: true, dialled: true }))
  assert.equal(dialling.verdict, undefined)
  assert.equal(dialled.verdict, undefined)
  assert.ok(dialling.asked.length >= 50 && dialling.asked.length <= 70, `${dialling.asked.length}`)
  assert.ok(
    dialled.asked.length > 5 && dialled.asked.length <= 20,
    `${dialled.asked.length} beside its answers`,
  )
  assert.equal(dialling.liveness.rttMs, 2)
  assert.equal(dialled.liveness.rttMs, 2)
})

test('whichever way nothing comes through, the side that hears nothing says so', () => {
  const deaf = talk(10, (now) => ({ dialling: now < 5000, dialled: true }))
  assert.equal(deaf.dialling.verdict, 'dead')
  const unheard = talk(10, (now) => ({ dialling: true, dialled: now < 5000 }))
  assert.equal(unheard.dialled.verdict, 'dead')
})

test('while the peer is heard, it is asked only for a round trip now and then', () => {
  for (const dialled of [true, false]) {
    const side = new Side(dialled)
    for (let now = ROUND_MS; now <= 60_000; now += ROUND_MS) {
      side.liveness.heard(now - 1)
      side.look(now)
    }
    assert.ok(side.asked.length <= 13, `${side.asked.length} in a minute`)
  }
})

test('what was sent and is not known to have arrived is asked about within two seconds, among traffic too', () => {
  for (const dialled of [true, false]) {
    const { liveness } = new Side(dialled)
    liveness.ask(0)
    let asked: number | undefined
    // As the rounds look while every answer comes just in time to put the next look off.
    for (let now = 0; asked === undefined; now = liveness.dueAt) {
      if (liveness.look(now, true) === 'ask') asked = now
      liveness.heard(now)
    }
    assert.ok(asked <= 2000, `after ${asked}`)
  }
})

test('a peer that asks by itself, as older ones do, is not asked', () => {
  const side = new Side(true)
  for (let now = ROUND_MS; now <= 20_000; now += ROUND_MS) {
    if (now % 500 === 0) side.liveness.heard(now)
    side.look(now)
  }
  assert.ok(side.asked.length <= 5, `${side.asked.length}`)
})

test('a process that stood still itself does not take that for the peer’s silence', () => {
  const liveness = new Liveness(0, true)
  liveness.ask(100)
  liveness.heard(101)
  liveness.excuse(9000, 10_000)
  assert.notEqual(liveness.look(10_000, false), 'dead')
  assert.notEqual(liveness.look(11_900, false), 'dead')
  assert.equal(liveness.look(11_950, false), 'dead')
})

test('a peer that stood still with this process, all the machine, is given a moment to answer', () => {
  const liveness = new Liveness(0, true)
  liveness.ask(900)
  // The timer was not late: they stood still between two rounds.
  assert.notEqual(liveness.look(1_900, false), 'dead')
  assert.ok(liveness.dueAt <= 1_900)
  liveness.heard(1_940)
  assert.notEqual(liveness.look(1_950, false), 'dead')
})

test('two peers that both want to know of what they sent do not ask each other in a circle', () => {
  const liveness = new Liveness(0, false)
  assert.ok(liveness.asksBeside(500, true))
  liveness.ask(500)
  assert.ok(!liveness.asksBeside(501, true))
})
