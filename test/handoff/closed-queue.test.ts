import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Channel, ClosedQueue } from '../../src/handoff/index.js'
import { closed } from './fixtures.js'
import { dial, startAgent, until } from './pair.js'

async function meet(queue: ClosedQueue) {
  const agent = await startAgent({
    onChannel(channel: Channel) {
      channel.onDrain = () => queue.flush()
      channel.onClose = () => queue.detach(channel)
      queue.attach(channel)
    },
  })
  const frontend = dial(agent.port)
  const ids = () => frontend.messages.map((message) => (message.type === 'closed' ? message.id : -1))
  return { agent, frontend, ids }
}

const numbers = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, index) => from + index)

test('records of a time without a frontend wait, and leave in order on its next channel', async () => {
  const queue = new ClosedQueue()
  for (const id of numbers(1, 5000)) queue.push({ ...closed, id, durationMs: 1.5 })
  assert.equal(queue.size, 5000)
  const { agent, frontend, ids } = await meet(queue)
  await until('all of them', () => frontend.messages.length === 5000)
  assert.deepEqual(ids(), numbers(1, 5000))
  queue.push({ ...closed, id: 5001 })
  await until('one more, at once', () => frontend.messages.length === 5001)
  assert.equal(queue.size, 0)
  frontend.link.destroy()
  await agent.stop()
})

test('too many waiting: the oldest go, and are counted', () => {
  const queue = new ClosedQueue(100)
  for (const id of numbers(1, 2500)) queue.push({ ...closed, id })
  assert.equal(queue.size, 100)
  assert.equal(queue.dropped, 2400)
})

test('records that a dying channel swallowed before they left come again on the next', async () => {
  const queue = new ClosedQueue()
  const { agent, frontend, ids } = await meet(queue)
  await until('the channel', () => agent.channels.length === 1 && frontend.ups.length === 1)
  for (const id of numbers(1, 10)) queue.push({ ...closed, id })
  agent.channels[0]?.destroy()
  for (const id of numbers(11, 20)) queue.push({ ...closed, id })
  await until('all of them', () => frontend.messages.length === 20)
  assert.deepEqual(ids(), numbers(1, 20))
  frontend.link.destroy()
  await agent.stop()
})

test('a record that the wire has no room for is refused, not kept where it would block the rest', () => {
  const queue = new ClosedQueue()
  assert.throws(() => queue.push({ ...closed, status: 1000 }), { code: 'BATON_FRAME_VALUE' })
  assert.equal(queue.size, 0)
})
