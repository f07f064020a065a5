import assert from 'node:assert/strict'
import { test } from 'node:test'
import { answerClaim } from '../../src/backend-agent/claims.js'
import type { SessionState } from '../../src/backend-agent/session-state.js'
import type { Claim, Closed } from '../../src/handoff/index.js'
import { type FlowKey, flowKey } from '../../src/kernel/flow.js'

const flow = flowKey({
  client: { address: '192.0.2.7', port: 40001 },
  vip: { address: '10.0.0.100', port: 80 },
})
const claim: Claim = { type: 'claim', id: 7, flow }

/** An agent that serves one connection, handoff 7 of front-1. */
function serving(state?: SessionState) {
  const served = { id: 7, frontendId: 'front-1', session: state === undefined ? undefined : { state } }
  const told: [string, Closed][] = []
  const options = {
    find: (key: FlowKey) => (key.equals(flow) ? served : undefined),
    tell: (frontendId: string, record: Closed) => told.push([frontendId, record]),
  }
  return { served, told, claim: (claimant: string, it = claim) => answerClaim(it, claimant, options).answer }
}

test('a connection that is claimed has a new frontend, and the one before is told to forget the flow', () => {
  for (const state of [undefined, 'reading', 'answering', 'queued', 'idle', 'plain', 'ended'] as const) {
    const agent = serving(state)
    assert.equal(agent.claim('front-2'), 'yours')
    assert.equal(agent.served.frontendId, 'front-2')
    assert.equal(agent.told.length, 1)
    const [to, record] = agent.told[0] ?? []
    assert.equal(to, 'front-1')
    assert.deepEqual(
      [record?.cause, record?.id, record?.flow, record?.context.length],
      ['claimed', 7, flow, 0],
    )
  }
})

test('who has it already may claim it again, and nobody is told', () => {
  const agent = serving()
  assert.equal(agent.claim('front-1'), 'yours')
  assert.deepEqual(agent.told, [])
})

test('a connection on its way to another frontend keeps its own until that is settled', () => {
  for (const state of ['moving', 'frozen'] as const) {
    const agent = serving(state)
    assert.equal(agent.claim('front-2'), 'later')
    assert.equal(agent.served.frontendId, 'front-1')
    assert.deepEqual(agent.told, [])
  }
})

test('another flow, and another handoff of the same flow, are not here', () => {
  const agent = serving('idle')
  const other = Buffer.from(flow)
  other[33] = 1
  assert.equal(agent.claim('front-2', { ...claim, flow: other }), 'none')
  assert.equal(agent.claim('front-2', { ...claim, id: 8 }), 'none')
  assert.equal(agent.served.frontendId, 'front-1')
  assert.deepEqual(agent.told, [])
})
