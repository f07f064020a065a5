import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isBatonError } from '../../src/errors/index.js'
import {
  giverEvents,
  giverStates,
  stepGiver,
  stepTaker,
  takerEvents,
  takerStates,
} from '../../src/handoff/index.js'

/*
 * What must happen, state by state. `event: next effect …`; an event that is not listed is illegal in that state, and
 * every state and event of the program must stand here.
 */

const giver: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  chosen: { frozen: 'frozen offer', freezeFailed: 'refused settle', channelLost: 'chosen' },
  frozen: { sent: 'offered', notSent: 'refused settle', channelLost: 'frozen' },
  offered: {
    notSent: 'refused settle',
    adopted: 'adopted settle',
    refused: 'refused settle',
    channelLost: 'unknown',
    deadline: 'unknown ask',
  },
  unknown: {
    adopted: 'adopted settle',
    refused: 'refused settle',
    channelLost: 'unknown',
    askTime: 'unknown ask',
    outcomeAdopted: 'adopted settle',
    outcomeRefused: 'refused settle',
    outcomeEnded: 'ended settle',
    outcomePending: 'unknown',
    outcomeUnknown: 'lost settle',
    gaveUp: 'lost settle',
  },
  adopted: {
    adopted: 'adopted',
    refused: 'adopted contradiction',
    channelLost: 'adopted',
    outcomeAdopted: 'adopted',
    outcomeRefused: 'adopted contradiction',
    outcomeEnded: 'adopted',
    outcomePending: 'adopted',
    outcomeUnknown: 'adopted',
  },
  refused: {
    adopted: 'refused contradiction',
    refused: 'refused',
    channelLost: 'refused',
    outcomeAdopted: 'refused contradiction',
    outcomeRefused: 'refused',
    outcomeEnded: 'refused contradiction',
    outcomePending: 'refused',
    outcomeUnknown: 'refused',
  },
  ended: {
    adopted: 'ended',
    refused: 'ended contradiction',
    channelLost: 'ended',
    outcomeAdopted: 'ended',
    outcomeRefused: 'ended contradiction',
    outcomeEnded: 'ended',
    outcomePending: 'ended',
    outcomeUnknown: 'ended',
  },
  lost: {
    adopted: 'lost late',
    refused: 'lost late',
    channelLost: 'lost',
    outcomeAdopted: 'lost late',
    outcomeRefused: 'lost late',
    outcomeEnded: 'lost late',
    outcomePending: 'lost',
    outcomeUnknown: 'lost',
  },
}
const giverEventNames =
  'frozen freezeFailed sent notSent adopted refused channelLost deadline askTime outcomeAdopted outcomeRefused outcomeEnded outcomePending outcomeUnknown gaveUp'

const same = (answer: string) => ({ ask: answer, askBlind: answer, askNoted: answer })
const taker: typeof giver = {
  unseen: {
    offer: 'received deliver',
    ask: 'tombstone answerRefused',
    askBlind: 'tombstone answerUnknown',
    askNoted: 'ended answerEnded',
  },
  received: {
    offer: 'received',
    begin: 'restoring',
    fail: 'refused sendRefused',
    ...same('received answerPending'),
  },
  restoring: {
    offer: 'restoring',
    commit: 'committed note',
    fail: 'refused sendRefused',
    ...same('restoring answerPending'),
  },
  committed: {
    offer: 'committed',
    adopt: 'adopted sendAdopted',
    fail: 'refused strike sendRefused',
    ...same('committed answerPending'),
  },
  adopted: { offer: 'adopted answerAdopted', end: 'ended', ...same('adopted answerAdopted') },
  refused: { offer: 'refused answerRefused', ...same('refused answerRefused') },
  ended: { offer: 'ended answerEnded', ...same('ended answerEnded') },
  tombstone: {
    offer: 'tombstone',
    ask: 'tombstone answerRefused',
    askBlind: 'tombstone answerUnknown',
    askNoted: 'tombstone answerRefused',
  },
}
const takerEventNames = 'offer begin commit adopt fail end ask askBlind askNoted'

function compare<S extends string, E extends string>(
  expected: typeof giver,
  eventNames: string,
  states: readonly S[],
  events: readonly E[],
  step: (state: S, event: E) => { state: string; effects: readonly string[] },
): void {
  assert.deepEqual([...states].sort(), Object.keys(expected).sort())
  assert.deepEqual([...events].sort(), eventNames.split(' ').sort())
  for (const state of states) {
    for (const event of events) {
      const want = expected[state]?.[event]
      if (want === undefined) {
        assert.throws(
          () => step(state, event),
          (error) => isBatonError(error, 'BATON_HANDOFF_TRANSITION'),
          `${state} × ${event} must be illegal`,
        )
      } else {
        const { state: next, effects } = step(state, event)
        assert.equal([next, ...effects].join(' '), want, `${state} × ${event}`)
      }
    }
  }
}

test('every state of the giver meets every event as it must', () => {
  compare(giver, giverEventNames, giverStates, giverEvents, stepGiver)
})

test('every state of the taker meets every event as it must', () => {
  compare(taker, takerEventNames, takerStates, takerEvents, stepTaker)
})

test('however events follow each other, a giver settles exactly once', () => {
  const seen = new Set<string>()
  const walk = (state: (typeof giverStates)[number], settled: number): void => {
    const key = `${state} ${settled}`
    if (seen.has(key)) return
    seen.add(key)
    const over = ['adopted', 'refused', 'ended', 'lost'].includes(state)
    assert.equal(settled, over ? 1 : 0, key)
    for (const event of giverEvents) {
      if (giver[state]?.[event] === undefined) continue
      const step = stepGiver(state, event)
      walk(step.state, settled + step.effects.filter((effect) => effect === 'settle').length)
    }
  }
  walk('chosen', 0)
  assert.equal(seen.size, giverStates.length)
})

test('however events follow each other, a taker delivers once at most, and never after it said refused', () => {
  const seen = new Set<string>()
  const walk = (state: (typeof takerStates)[number], delivered: number, refused: boolean): void => {
    const key = `${state} ${delivered} ${refused}`
    if (seen.has(key)) return
    seen.add(key)
    assert.ok(delivered <= 1, key)
    for (const event of takerEvents) {
      if (taker[state]?.[event] === undefined) continue
      const { state: next, effects } = stepTaker(state, event)
      if (refused)
        assert.ok(!effects.some((one) => one === 'deliver' || one === 'sendAdopted'), `${key} ${event}`)
      const gone = refused || effects.some((one) => one === 'sendRefused' || one === 'answerRefused')
      walk(next, delivered + effects.filter((one) => one === 'deliver').length, gone)
    }
  }
  walk('unseen', 0, false)
  assert.ok(seen.size >= takerStates.length)
})
