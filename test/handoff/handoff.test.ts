import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BatonError } from '../../src/errors/index.js'
import type { Offer, Settlement } from '../../src/handoff/index.js'
import { fullSnapshot, offer as plain, plainSnapshot } from './fixtures.js'
import { until } from './pair.js'
import { adopt, startGiving, startTaking } from './stage.js'

const offerOf = (id: number, budgetMs = 5000): Offer => ({ ...plain, id, budgetMs })

test('10,000 offers in flight on one channel are each adopted, restored once, with the bytes they left with', async () => {
  const held: (() => void)[] = []
  let sample: Offer | undefined
  const agent = await startTaking({
    onOffer(taker, taken) {
      sample = taken.offer
      held.push(() => adopt(taker, taken))
    },
  })
  const frontend = await startGiving(agent.port)
  const { giver } = frontend
  const snapshot = { ...plainSnapshot, receive: { nextSequence: 1, queue: Buffer.alloc(200, 'q') } }
  let last = 0
  for (let count = 0; count < 10_000; count++) {
    last = giver.nextId()
    const error = giver.offer(
      frontend.link.channel,
      { ...plain, id: last, budgetMs: 10_000, snapshot },
      'tag',
    )
    if (error === undefined) continue
    assert.equal(error.code, 'BATON_HANDOFF_NOT_SENT')
    // Above the high-water mark: go on when the peer has read.
    count--
    await new Promise((resolve) => setImmediate(resolve))
  }
  await until('all offers there', () => held.length === 10_000)
  assert.equal(giver.inFlight, 10_000)
  assert.equal(agent.taker.inHand, 10_000)
  assert.deepEqual(sample, { ...plain, id: last, budgetMs: 10_000, snapshot })
  for (const go of held) go()
  await until('all settled', () => frontend.settled.size === 10_000)
  assert.ok([...frontend.settled.values()].every(({ kind }) => kind === 'adopted'))
  assert.equal(new Set(agent.delivered).size, 10_000)
  assert.equal(giver.inFlight, 0)
  assert.equal(agent.taker.inHand, 0)
  assert.equal(agent.taker.remembered, 10_000)
  frontend.link.destroy()
  await agent.stop()
})

test('a refusal gives the connection back with its reason, an overlong one cut between characters', async () => {
  const agent = await startTaking({
    onOffer: (taker, taken) =>
      taker.refuse(taken, new BatonError('BATON_HANDOFF_BUSY', { detail: 'é'.repeat(2000) })),
  })
  const frontend = await startGiving(agent.port)
  const id = frontend.giver.nextId()
  assert.equal(
    frontend.giver.offer(frontend.link.channel, { ...plain, id, snapshot: fullSnapshot }, 'tag'),
    undefined,
  )
  await until('the answer', () => frontend.settled.size === 1)
  const settlement = frontend.settled.get(id)
  assert.ok(settlement?.kind === 'refused')
  assert.equal(settlement.code, 'BATON_HANDOFF_BUSY')
  assert.match(settlement.message, /é$/)
  assert.ok(Buffer.byteLength(settlement.message) <= 1024)
  frontend.link.destroy()
  await agent.stop()
})

test('an offer that cannot leave is the caller’s at once: no channel, a full taker, a value without room', async () => {
  const agent = await startTaking({ capacity: 2, onOffer: () => {} })
  const frontend = await startGiving(agent.port)
  const { giver, link } = frontend
  const { channel } = link
  assert.equal(giver.offer(undefined, offerOf(1), 'tag')?.code, 'BATON_HANDOFF_NOT_SENT')
  assert.equal(giver.offer(channel, { ...offerOf(1), listener: 'a b' }, 'tag')?.code, 'BATON_FRAME_VALUE')
  assert.equal(giver.offer(channel, offerOf(1), 'tag'), undefined)
  assert.throws(() => giver.offer(channel, offerOf(1), 'tag'), { code: 'BATON_HANDOFF_TRANSITION' })
  assert.equal(giver.offer(channel, offerOf(2), 'tag'), undefined)
  assert.equal(giver.offer(channel, offerOf(3), 'tag')?.code, 'BATON_HANDOFF_BUSY')
  // The two are queued for the end of this turn: cut now, they never leave, and are not unknown but refused.
  channel?.destroy()
  assert.deepEqual(
    [...frontend.settled.values()].map((settlement) => settlement.kind === 'refused' && settlement.code),
    ['BATON_HANDOFF_NOT_SENT', 'BATON_HANDOFF_NOT_SENT'],
  )
  assert.equal(giver.offer(channel, offerOf(4), 'tag')?.code, 'BATON_HANDOFF_NOT_SENT')
  assert.deepEqual(agent.delivered, [])
  link.destroy()
  await agent.stop()
})

/** Where the channel is cut, and what must have become of the offer when both sides have met again. */
const cuts: Readonly<
  Record<
    string,
    { readonly onOffer: Parameters<typeof startTaking>[0]['onOffer']; readonly kind: Settlement['kind'] }
  >
> = {
  received: {
    onOffer(taker, taken, channel) {
      channel?.destroy()
      setTimeout(() => adopt(taker, taken), 50)
    },
    kind: 'adopted',
  },
  restoring: {
    onOffer(taker, taken, channel) {
      taker.begin(taken)
      channel?.destroy()
      setTimeout(() => taker.refuse(taken, new BatonError('BATON_HANDOFF_BUSY')), 50)
    },
    kind: 'refused',
  },
  'committed, then adopted': {
    onOffer(taker, taken, channel) {
      taker.begin(taken)
      taker.commit(taken)
      channel?.destroy()
      taker.adopted(taken)
    },
    kind: 'adopted',
  },
  'committed, then refused after all': {
    onOffer(taker, taken, channel) {
      taker.begin(taken)
      taker.commit(taken)
      channel?.destroy()
      taker.refuse(taken, new BatonError('BATON_HANDOFF_BUSY'))
    },
    kind: 'refused',
  },
  'adopted, ADOPTED not sent': {
    onOffer(taker, taken, channel) {
      adopt(taker, taken)
      channel?.destroy()
    },
    kind: 'adopted',
  },
  'refused, REFUSED not sent': {
    onOffer(taker, taken, channel) {
      taker.refuse(taken, new BatonError('BATON_HANDOFF_BUSY'))
      channel?.destroy()
    },
    kind: 'refused',
  },
  'adopted and ended': {
    onOffer(taker, taken, channel) {
      adopt(taker, taken)
      taker.ended(taken)
      channel?.destroy()
    },
    kind: 'ended',
  },
}

for (const [name, { onOffer, kind }] of Object.entries(cuts)) {
  test(`channel cut when the taker has ${name}: the giver asks, and learns ${kind}`, async () => {
    const agent = await startTaking({ ...(onOffer && { onOffer }) })
    const frontend = await startGiving(agent.port, { askEveryMs: 20 })
    assert.equal(frontend.giver.offer(frontend.link.channel, offerOf(1), 'tag'), undefined)
    await until('the settlement', () => frontend.settled.size === 1)
    assert.equal(frontend.settled.get(1)?.kind, kind)
    assert.deepEqual(agent.delivered, [1])
    assert.equal(frontend.giver.counters.unknown, 1)
    assert.ok(frontend.giver.counters.asks >= 1)
    assert.deepEqual(frontend.contradictions, [])
    frontend.link.destroy()
    await agent.stop()
  })
}

test('channel cut with the offer on its way: asked about first, it is refused, and refused for ever', async () => {
  const agent = await startTaking({})
  const frontend = await startGiving(agent.port)
  await until('the frontend’s HELLO at the agent', () => agent.channels.length === 1)
  // The agent’s end is deaf: what is sent now stays on the wire.
  const deaf = agent.channels[0]!
  const unread: Offer[] = []
  deaf.onMessage = (message) => message.type === 'offer' && unread.push(message)
  assert.equal(frontend.giver.offer(frontend.link.channel, offerOf(1), 'tag'), undefined)
  await until('the offer at the agent', () => unread.length === 1)
  frontend.link.channel?.destroy()
  frontend.giver.channelDown(frontend.ups[0]!)
  await until('the settlement', () => frontend.settled.size === 1)
  const settlement = frontend.settled.get(1)
  assert.ok(settlement?.kind === 'refused')
  assert.equal(settlement.code, 'BATON_HANDOFF_NEVER_SEEN')
  // Now it comes after all, on the old channel and on the new one: neither is taken.
  agent.taker.handle(deaf, unread[0]!)
  frontend.link.channel?.send(offerOf(1))
  frontend.link.channel?.send({ type: 'ask', id: 1, giverEpoch: 0, takerEpoch: 0, ageMs: 0 })
  await until('the answer to the last question', () => frontend.messages.length === 2)
  assert.deepEqual(agent.delivered, [])
  frontend.link.destroy()
  await agent.stop()
})

test('an offer that comes twice is restored once, and the answer is given again', async () => {
  const agent = await startTaking({})
  const frontend = await startGiving(agent.port)
  assert.equal(frontend.giver.offer(frontend.link.channel, offerOf(1), 'tag'), undefined)
  await until('ADOPTED', () => frontend.settled.size === 1)
  frontend.link.channel?.send(offerOf(1))
  await until('the answer again', () => frontend.messages.length === 2)
  assert.deepEqual(frontend.messages[1], { type: 'outcome', id: 1, outcome: 'adopted' })
  assert.deepEqual(agent.delivered, [1])
  frontend.link.destroy()
  await agent.stop()
})

test('a slow taker is asked at the deadline, says pending, and adopts: the giver waits for that', async () => {
  let adoptNow = () => {}
  const agent = await startTaking({
    onOffer(taker, taken) {
      taker.begin(taken)
      adoptNow = () => {
        taker.commit(taken)
        taker.adopted(taken)
      }
    },
  })
  const frontend = await startGiving(agent.port, { unknownTimeoutMs: 300, askEveryMs: 50 })
  assert.equal(frontend.giver.offer(frontend.link.channel, offerOf(1, 20), 'tag'), undefined)
  const pending = () =>
    frontend.messages.filter((message) => message.type === 'outcome' && message.outcome === 'pending').length
  // More answers than fit into the time to give up: each keeps it alive.
  await until('pending many times', () => pending() >= 10)
  assert.equal(frontend.settled.size, 0)
  adoptNow()
  await until('the settlement', () => frontend.settled.size === 1)
  assert.deepEqual(frontend.settled.get(1), { kind: 'adopted' })
  frontend.link.destroy()
  await agent.stop()
})

test('a taker that gets to an offer after its time refuses it', async () => {
  const begun: boolean[] = []
  const agent = await startTaking({
    onOffer: (taker, taken) => setTimeout(() => begun.push(taker.begin(taken)), 60),
  })
  const frontend = await startGiving(agent.port)
  assert.equal(frontend.giver.offer(frontend.link.channel, offerOf(1, 30), 'tag'), undefined)
  await until('the settlement', () => frontend.settled.size === 1)
  const settlement = frontend.settled.get(1)
  assert.ok(settlement?.kind === 'refused')
  assert.deepEqual(begun, [false])
  frontend.link.destroy()
  await agent.stop()
})

test('a taker that is full or drains refuses, and nothing is restored', async () => {
  const agent = await startTaking({ takerCapacity: 1, onOffer: () => {} })
  const frontend = await startGiving(agent.port)
  frontend.giver.offer(frontend.link.channel, offerOf(1), 'tag')
  frontend.giver.offer(frontend.link.channel, offerOf(2), 'tag')
  await until('one refusal', () => frontend.settled.size === 1)
  assert.equal(frontend.settled.get(2)?.kind, 'refused')
  agent.taker.accepting = false
  frontend.giver.offer(frontend.link.channel, offerOf(3), 'tag')
  await until('another', () => frontend.settled.size === 2)
  assert.equal(frontend.settled.get(3)?.kind, 'refused')
  assert.deepEqual(agent.delivered, [1])
  frontend.link.destroy()
  await agent.stop()
})

test('an agent that is gone for good loses the connection; if it comes back, its late answer is told', async () => {
  const agent = await startTaking({
    onOffer: (taker, taken, channel) => {
      adopt(taker, taken)
      channel?.destroy()
      agent.server.server.close()
    },
  })
  const frontend = await startGiving(agent.port, { unknownTimeoutMs: 200 })
  frontend.giver.offer(frontend.link.channel, offerOf(1), 'tag')
  await until('the settlement', () => frontend.settled.size === 1)
  assert.equal(frontend.settled.get(1)?.kind, 'lost')
  const again = await startTaking({ port: agent.port, taker: agent.taker })
  await until('the channel', () => frontend.link.channel !== undefined && again.channels.length === 1)
  again.channels[0]?.send({ type: 'adopted', id: 1 })
  await until('the late answer', () => frontend.late.length === 1)
  assert.deepEqual(frontend.late, [{ id: 1, agentId: 'media-1', answer: 'adopted' }])
  assert.equal(frontend.giver.counters.late, 1)
  frontend.link.destroy()
  await again.stop()
  await agent.stop()
})

test('an answer against an earlier one is told, and one for another agent’s offer costs the channel', async () => {
  const agent = await startTaking({
    onOffer: (taker, taken) => taker.refuse(taken, new BatonError('BATON_HANDOFF_BUSY')),
  })
  const frontend = await startGiving(agent.port)
  frontend.giver.offer(frontend.link.channel, offerOf(1), 'tag')
  await until('the refusal', () => frontend.settled.size === 1)
  agent.channels[0]?.send({ type: 'adopted', id: 1 })
  await until('the contradiction', () => frontend.contradictions.length === 1)
  assert.equal(frontend.settled.get(1)?.kind, 'refused')
  agent.channels[0]?.send({ type: 'adopted', id: 99 })
  await until('a stray answer', () => frontend.giver.counters.stray === 1)
  frontend.giver.inherit('media-2', 2, 'tag')
  agent.channels[0]?.send({ type: 'adopted', id: 2 })
  await until('the end of the channel', () => frontend.downs.length === 1)
  assert.equal(frontend.downs[0]?.error.code, 'BATON_HANDOFF_TRANSITION')
  assert.equal(frontend.settled.has(2), false)
  frontend.link.destroy()
  frontend.giver.destroy()
  assert.equal(frontend.settled.get(2)?.kind, 'lost')
  await agent.stop()
})

test('a successor of the giver learns what became of its predecessor’s offers', async () => {
  const agent = await startTaking({})
  const first = await startGiving(agent.port)
  first.giver.offer(first.link.channel, offerOf(1), 'tag')
  await until('ADOPTED', () => first.settled.size === 1)
  first.link.destroy()
  const second = await startGiving(agent.port, { epoch: 101 })
  second.giver.inherit('media-1', 1, 'tag')
  second.giver.inherit('media-1', 2, 'tag')
  await until('both answers', () => second.settled.size === 2)
  assert.equal(second.settled.get(1)?.kind, 'adopted')
  assert.equal(second.settled.get(2)?.kind, 'lost')
  // Asked about once, it is not taken any more.
  second.link.channel?.send(offerOf(2))
  second.giver.offer(second.link.channel, offerOf(3), 'tag')
  await until('the next offer', () => second.settled.size === 3)
  assert.deepEqual(agent.delivered, [1, 3])
  second.link.destroy()
  await agent.stop()
})
