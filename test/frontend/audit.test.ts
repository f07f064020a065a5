import assert from 'node:assert/strict'
import { afterEach, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Audit } from '../../src/frontend/audit.js'
import type { Claim, Claimed, Message } from '../../src/handoff/index.js'
import { type FlowKey, flowId, flowKey } from '../../src/kernel/flow.js'
import type { EndedFlow, IdleFlow } from '../../src/steering/index.js'

const flow = (port: number, idleMs = 700_000, nextHop = '10.0.0.11'): IdleFlow => ({
  key: flowKey({ client: { address: '192.0.2.7', port }, vip: { address: '10.0.0.100', port: 80 } }),
  id: port,
  nextHop,
  idleMs,
})

/** An agent that says what it is told to say, in the next turn. */
class Agent {
  readonly asked: Claim[] = []
  writable = true
  say: (claim: Claim) => Claimed['answer'] | undefined = () => 'yours'
  readonly channel: { readonly writable: boolean; send(message: Message): boolean }

  constructor(id: string, audit: () => Audit) {
    const self = this
    this.channel = {
      get writable() {
        return self.writable
      },
      send(message) {
        assert.ok(message.type === 'claim')
        self.asked.push(message)
        const answer = self.say(message)
        if (answer !== undefined)
          setImmediate(() => audit().claimed(id, { ...message, type: 'claimed', answer }))
        return true
      },
    }
  }
}

class Scene {
  /** What the flow table gives, chunk by chunk. */
  chunks: IdleFlow[][] = []
  readonly over: FlowKey[] = []
  /** Flows that are another connection's by the time they would linger. */
  readonly reused = new Set<string>()
  readonly one = new Agent('one', () => this.audit)
  readonly two = new Agent('two', () => this.audit)
  oneIsUp = true
  readonly audit = new Audit({
    idleMs: 600_000,
    steering: {
      idle: () => this.chunks,
      lingerOf: (entries: readonly EndedFlow[]) =>
        entries.map(({ key }) => (this.reused.has(flowId(key)) ? 'other' : 'lingers')),
    },
    backendsAt: (nextHop) => {
      if (nextHop === '10.0.0.11')
        return [{ id: 'one', channel: this.oneIsUp ? this.one.channel : undefined }]
      if (nextHop === '10.0.0.12')
        return [
          { id: 'one', channel: this.oneIsUp ? this.one.channel : undefined },
          { id: 'two', channel: this.two.channel },
        ]
      return []
    },
    onOver: (keys) => this.over.push(...keys),
    logger: { info() {}, error() {} },
  })
}

let scene: Scene
const start = () => {
  scene = new Scene()
  return scene
}
afterEach(() => scene.audit.close())

test('what the agent denies lingers, what it has stays', async () => {
  const { audit, one, over } = start()
  const [dead, alive, moving] = [flow(1), flow(2), flow(3)]
  scene.chunks = [[dead, alive], [], [moving]]
  one.say = ({ id }) => (id === 1 ? 'none' : id === 2 ? 'yours' : 'later')
  assert.equal(await audit.round(), 1)
  assert.deepEqual(over, [dead.key])
  assert.deepEqual(
    one.asked.map(({ id }) => id),
    [1, 2, 3],
  )
})

test('a host with two agents is asked at both, and one of them is enough to stay', async () => {
  const { audit, one, two, over } = start()
  const [dead, alive] = [flow(1, 700_000, '10.0.0.12'), flow(2, 700_000, '10.0.0.12')]
  scene.chunks = [[dead, alive]]
  one.say = () => 'none'
  two.say = ({ id }) => (id === 1 ? 'none' : 'yours')
  assert.equal(await audit.round(), 1)
  assert.deepEqual(over, [dead.key])
})

test('an agent that is away may have it: nothing is asked, and nothing ends', async () => {
  const { audit, one, two, over } = start()
  scene.oneIsUp = false
  two.say = () => 'none'
  scene.chunks = [[flow(1), flow(2, 700_000, '10.0.0.12')]]
  assert.equal(await audit.round(), 0)
  assert.deepEqual([one.asked.length, two.asked.length, over.length], [0, 0, 0])
})

test('a host that no backend has any more is given a day', async () => {
  const { audit, over } = start()
  const [recent, old] = [flow(1, 3_600_000, '10.0.0.99'), flow(2, 25 * 3_600_000, '10.0.0.99')]
  scene.chunks = [[recent, old]]
  assert.equal(await audit.round(), 1)
  assert.deepEqual(over, [old.key])
})

test('a flow that is another connection’s by now is left alone', async () => {
  const { audit, one, over } = start()
  one.say = () => 'none'
  const reused = flow(1)
  scene.reused.add(flowId(reused.key))
  scene.chunks = [[reused]]
  assert.equal(await audit.round(), 0)
  assert.deepEqual(over, [])
})

test('answers to others’ questions, of other handoffs and of other agents are not taken', async () => {
  const { audit, one, over } = start()
  one.say = () => undefined
  const asked = flow(1)
  scene.chunks = [[asked]]
  const round = audit.round()
  await sleep(5)
  const answer: Claimed = { type: 'claimed', id: 1, flow: asked.key, answer: 'none' }
  assert.equal(audit.claimed('one', { ...answer, id: 2 }), false)
  assert.equal(audit.claimed('two', answer), false)
  assert.equal(audit.claimed('one', { ...answer, flow: flow(5).key }), false)
  assert.deepEqual(over, [])
  assert.equal(audit.claimed('one', answer), true)
  assert.equal(audit.claimed('one', answer), false)
  assert.equal(await round, 1)
})

test('an end that comes while answers are waited for ends the round', async () => {
  const { audit, one } = start()
  one.say = () => undefined
  scene.chunks = [[flow(1)], [flow(2)]]
  const round = audit.round()
  await sleep(5)
  audit.close()
  assert.equal(await round, 0)
  assert.equal(one.asked.length, 1)
})

test('thousands are asked about in slices', async () => {
  const { audit, one, over } = start()
  let open = 0
  let most = 0
  one.say = () => {
    open++
    most = Math.max(most, open)
    setImmediate(() => open--)
    return 'none'
  }
  scene.chunks = [Array.from({ length: 4096 }, (_, index) => flow(index + 1)), [flow(5000)]]
  assert.equal(await audit.round(), 4097)
  assert.equal(over.length, 4097)
  assert.ok(most <= 1024)
})
