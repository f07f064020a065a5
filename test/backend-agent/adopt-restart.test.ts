import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { AdoptTable } from '../../src/backend-agent/adopt-table.js'
import { addressBytes } from '../../src/kernel/flow.js'
import {
  adopted,
  adopting,
  agentFile,
  application,
  cli,
  echo,
  fileAddress,
  frontOf,
  handedOver,
  pinsOf,
  request,
} from './adopt-harness.js'
import { Client, settle } from './session-harness.js'
import { type Front, Stage } from './stage.js'

const stage = new Stage('btadr')
// A listener that takes a megabyte from who nobody reads.
stage.front.setSysctls({ 'net.ipv4.tcp_rmem': '4096 4194304 8388608' })
const logger = { info() {}, warn() {} } as never

test('a successor answers for what its predecessor adopted, and then for its end', async () => {
  const app = await application(echo)
  const first = await stage.agent(adopting('r-asked', app.port))
  const front = await frontOf(stage, first)
  const client = await handedOver(stage, front)
  const { id = 0 } = front.offers[0] ?? {}
  await first.destroy()
  const second = await stage.agent(adopting('r-asked', app.port))
  const again = await frontOf(stage, second)
  assert.deepEqual(await again.ask(id), adopted)
  await client.heard(request)
  client.socket.end()
  await settle(() => again.closed.length === 1)
  assert.deepEqual(await again.ask(id), { kind: 'ended' })
  await second.close()
})

test('what its predecessor died over before anything was born is refused', async () => {
  const app = await application(echo)
  const agent = await stage.agent(adopting('r-before', 1))
  const front = await frontOf(stage, agent)
  stage.steer('front')
  const client = new Client(stage.connect(front.port))
  client.send(request)
  const arrival = await front.arrival()
  assert.equal((await front.handOver(arrival)).kind, 'refused')
  await agent.close()
  const table = new AdoptTable({ id: 'r-before', epoch: 1, logger, onEnd() {} })
  table.resume()
  const [offer] = front.offers
  assert.ok(offer)
  const notes = { id: 4711, frontendId: 'front-1', giverEpoch: 1, context: Buffer.alloc(0) }
  const listener = { address: addressBytes('127.0.0.1'), port: app.port, clock: 0 }
  table.expect(arrival.flow, { notes, snapshot: offer.snapshot, ...listener })
  table.programs.close(false)
  const second = await stage.agent(adopting('r-before', app.port))
  const again = await frontOf(stage, second)
  const answer = await again.ask(4711)
  assert.equal(answer.kind, 'refused')
  assert.equal(app.sockets.length, 0)
  client.socket.destroy()
  await second.close()
})

test('a frontend that claims a connection is told of its end, also by the next process', async () => {
  const app = await application(echo)
  const first = await stage.agent(adopting('r-claimed', app.port))
  const front = await frontOf(stage, first)
  const client = await handedOver(stage, front)
  await client.heard(request)
  const { id = 0, snapshot } = front.offers[0] ?? {}
  assert.ok(snapshot)
  const { flow } = snapshot
  const claimant = await frontOf(stage, first, { id: 'front-2' })
  const claim = async (by: Front, number: number) => {
    const count = by.claimed.length
    ;(await by.up()).send({ type: 'claim', id: number, flow })
    await settle(() => by.claimed.length > count)
    return by.claimed[count]?.answer
  }
  assert.equal(await claim(claimant, id + 1), 'none')
  assert.equal(await claim(claimant, id), 'yours')
  await settle(() => front.closed.length === 1)
  assert.equal(front.closed[0]?.cause, 'claimed')
  await first.destroy()
  const second = await stage.agent(adopting('r-claimed', app.port))
  const [front1, front2, front3] = [
    await frontOf(stage, second),
    await frontOf(stage, second, { id: 'front-2' }),
    await frontOf(stage, second, { id: 'a-frontend-with-a-long-name-of-64-bytes.0123456789.0123456789.01' }),
  ]
  assert.equal(await claim(front3, id), 'yours')
  await settle(() => front2.closed.length === 1)
  client.send('more.')
  await client.heard('more.')
  client.socket.end()
  await settle(() => front3.closed.length === 1)
  assert.deepEqual(
    [front3.closed[0]?.id, front3.closed[0]?.cause, front3.closed[0]?.bytesOut],
    [id, 'client', client.socket.bytesRead],
  )
  assert.deepEqual([front1.closed.length, front2.closed.length], [0, 1])
  await second.close()
})

test('an agent that serves otherwise now still tells of what was adopted before, and then lets go of the kernel', async () => {
  const app = await application(echo)
  const first = await stage.agent(adopting('r-other', app.port))
  const front = await frontOf(stage, first)
  const client = await handedOver(stage, front)
  await client.heard(request)
  await first.destroy()
  const deliver = { kind: 'tcp', address: `127.0.0.1:${app.port}` } as const
  const second = await stage.agent({ id: 'r-other', deliver })
  assert.deepEqual([second.stats.deliver, second.stats.active], ['tcp', 1])
  const again = await frontOf(stage, second)
  const { epoch, features } = (await again.up()).peer
  const since = Number(features.find((one) => one.startsWith('since:'))?.slice(6))
  assert.ok(since > 0 && since < epoch)
  client.socket.end()
  await settle(() => again.closed.length === 1)
  // Its own connections stand in the same books: after a kill, its successor speaks for them.
  const through = await handedOver(stage, again)
  await through.heard(request)
  through.socket.end()
  await settle(() => again.closed.length === 2)
  await second.close()
  assert.deepEqual(pinsOf('r-other'), [])
  const third = await stage.agent({ id: 'r-other', deliver })
  assert.deepEqual((await (await frontOf(stage, third)).up()).peer.features, ['tcp', 'bytes'])
  await third.close()
})

const megabyte = randomBytes(1 << 20).toString('latin1')

/** A connection with a megabyte unread, given to an application that does not read yet. */
async function withMuchUnread(front: Front) {
  stage.steer('front')
  const client = new Client(stage.connect(front.port))
  client.socket.write(request + megabyte, 'latin1')
  const arrival = await front.arrival()
  for (let round = 0; (await unreadAt(front)) < request.length + megabyte.length; round++) {
    assert.ok(round < 500)
    await sleep(10)
  }
  assert.deepEqual(await front.handOver(arrival), adopted)
  return client
}

async function unreadAt(front: Front): Promise<number> {
  const sockets = await stage.front.sockets(`sport = :${front.port}`)
  return sockets.find(({ state }) => state === 'ESTAB')?.receiveQueueBytes ?? 0
}

test('a stop waits until every byte is with the application', async () => {
  const app = await application(() => undefined)
  const agent = await stage.agent(adopting('r-stop', app.port))
  const client = await withMuchUnread(await frontOf(stage, agent))
  await settle(() => app.sockets.length === 1)
  let closed = false
  const closing = agent.close().then(() => {
    closed = true
  })
  await sleep(300)
  assert.equal(closed, false)
  let got = ''
  app.sockets[0]?.setEncoding('latin1').on('data', (text) => {
    got += text
  })
  app.sockets[0]?.resume()
  await closing
  await settle(() => got.length === request.length + megabyte.length)
  assert.ok(got === request + megabyte)
  app.sockets[0]?.write('got it.')
  await client.heard('got it.')
  client.socket.destroy()
})

test('bytes that a killed agent had not played in are lost: both ends are reset, and none waits for ever', async () => {
  const app = await application(() => undefined)
  const deliver = { kind: 'adopt', address: `127.0.0.1:${app.port}`, session: 'connection' }
  const file = agentFile(stage, 'r-killed', deliver)
  const start = async () => {
    const agent = stage.back.spawn(process.execPath, [cli, 'agent', '-c', file])
    await agent.waitFor({ port: fileAddress.port })
    return agent
  }
  const first = await start()
  const front = await frontOf(stage, { address: fileAddress })
  const client = await withMuchUnread(front)
  await settle(() => app.sockets.length === 1)
  first.kill('SIGKILL')
  await first.exited
  const second = await start()
  assert.equal(await client.end(), 'ECONNRESET')
  const [served] = app.sockets
  let over = false
  for (const event of ['end', 'error']) served?.once(event, () => (over = true))
  served?.resume()
  // libuv takes the hang-up behind a partial read for an end.
  await settle(() => over)
  assert.ok((served?.bytesRead ?? 0) < megabyte.length)
  await settle(() => front.closed.length === 1)
  second.kill('SIGTERM')
  assert.deepEqual(await second.exited, { code: 0, signal: null })
  assert.deepEqual(pinsOf('r-killed'), [])
})
