import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { sha256OfBody } from '../../src/cli/demo/origin.js'
import { Deployment, type Host } from '../../src/lab/index.js'
import { connectFrom, deliverTo, download, Received, startApp, statusOf, sum } from './support.js'

let baton: Deployment
let frontend: Host
let one: Host
let two: Host
const BIG = 30_000_000

before(async () => {
  baton = new Deployment({ prefix: 'btfail', frontends: 1, backends: 2, redis: true })
  frontend = baton.net.frontends[0]!
  one = baton.net.backends[0]!
  two = baton.net.backends[1]!
  await Promise.all([baton.startRedis(), startApp(baton, one, 'media-1'), startApp(baton, two, 'web-1')])
  await Promise.all([startOne(), startTwo()])
  await startFrontend()
})
after(() => baton?.dispose())
const startOne = () => baton.startAgent(one, 'media-1', ['media'], deliverTo(one))
const startTwo = () => baton.startAgent(two, 'web-1', ['web', 'both'], deliverTo(two))
/** Pool `wrong` names an agent that does not serve it; `both` tries that agent first or second. */
const startFrontend = () =>
  baton.startFrontend(frontend, 'front-1', {
    routes: [
      { match: { path: { prefix: '/media/' } }, pool: 'media' },
      { match: { path: { prefix: '/wrong/' } }, pool: 'wrong' },
      { match: { path: { prefix: '/both/' } }, pool: 'both' },
      { match: {}, pool: 'web' },
    ],
    pools: {
      media: { backends: [{ id: 'media-1', agent: `${one.ipv4}:7400`, address: `${one.ipv4}:8080` }] },
      wrong: { backends: [{ id: 'media-1', agent: `${one.ipv4}:7400`, address: `${one.ipv4}:8080` }] },
      both: {
        backends: [
          { id: 'media-1', agent: `${one.ipv4}:7400`, address: `${one.ipv4}:8080` },
          { id: 'web-1', agent: `${two.ipv4}:7400`, address: `${two.ipv4}:8080` },
        ],
      },
      web: { backends: [{ id: 'web-1', agent: `${two.ipv4}:7400`, address: `${two.ipv4}:8080` }] },
    },
    steering: { interface: 'eth0', pinPath: baton.pinPath('front-1'), lingerMs: 1000 },
    handoff: { budgetMs: 500, unknownTimeoutMs: 8000 },
  })

function ask(path: string) {
  const socket = connectFrom(baton.net.client, baton.net.vip4)
  const received = new Received(socket)
  socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`)
  return { socket, received }
}

async function answerOf(path: string): Promise<string> {
  const { received } = ask(path)
  await received.closed
  return received.text
}

/** Until the frontend's status satisfies the condition. */
async function until(
  what: string,
  holds: (status: Awaited<ReturnType<typeof statusOf>>) => boolean,
): Promise<void> {
  for (let round = 0; round < 100; round++) {
    if (holds(await statusOf(baton))) return
    await sleep(100)
  }
  assert.fail(`within 10 s: ${what}; ${JSON.stringify(await statusOf(baton))}`)
}

/** What agents send to the frontend is dropped. */
const cutChannel = () =>
  frontend.run('nft', ['-f', '-'], {
    input: 'table inet cut { chain in { type filter hook input priority 0; tcp sport 7400 drop; }; }',
  })
const mendChannel = () => frontend.run('nft', ['delete', 'table', 'inet', 'cut'])

const openFiles = (name: string) => readdirSync(`/proc/${baton.process(name).pid}/fd`).length

test('an agent that refuses: the next backend gets the connection, or it is relayed; both are counted', async () => {
  const before = await statusOf(baton)
  assert.match(await answerOf('/wrong/a'), /"backend":"media-1"/)
  const after = await statusOf(baton)
  assert.equal(after.handoffs.refused - before.handoffs.refused, 1)
  assert.equal(sum(after.relays) - sum(before.relays), 1)
  for (let round = 0; round < 4; round++) assert.match(await answerOf('/both/b'), /^HTTP\/1\.1 200 /)
  const last = await statusOf(baton)
  assert.equal(last.handoffs.adopted - after.handoffs.adopted, 4)
  assert.equal(last.handoffs.refused - after.handoffs.refused, 2)
  assert.equal(sum(last.relays), sum(after.relays))
})

test('an agent that dies before ADOPTED loses nothing: its successor knows that it never had the connection', async () => {
  const before = await statusOf(baton)
  const agent = baton.process('media-1')
  agent.kill('SIGSTOP')
  const { received } = ask('/media/before')
  await until('one offer in flight', (status) => status.handoffs.inFlight === 1)
  agent.kill('SIGKILL')
  await agent.exited
  await startOne()
  await received.closed
  assert.match(received.text, /^HTTP\/1\.1 200 .*"url":"\/media\/before"/s)
  assert.equal((await statusOf(baton)).handoffs.lost, before.handoffs.lost)
})

test('an agent that dies after ADOPTED takes its connections with it, and new ones go on', async () => {
  const { received } = ask(`/media/bytes/${BIG * 10}`)
  await received.until(/\r\n\r\n/)
  const agent = baton.process('media-1')
  agent.kill('SIGKILL')
  await agent.exited
  await received.closed
  assert.ok(received.bytes.length < BIG * 10)
  assert.match(await answerOf('/media/relayed'), /"url":"\/media\/relayed"/)
  await startOne()
  await until(
    'the agent is back',
    (status) => status.backends.find(({ id }) => id === 'media-1')?.state === 'up',
  )
  const before = await statusOf(baton)
  assert.match(await answerOf('/media/handed'), /"url":"\/media\/handed"/)
  assert.equal((await statusOf(baton)).handoffs.adopted - before.handoffs.adopted, 1)
})

test('a channel cut between OFFER and ADOPTED: the outcome is found out and the download is whole', async () => {
  const before = await statusOf(baton)
  const agent = baton.process('media-1')
  agent.kill('SIGSTOP')
  const running = download(baton, `/media/bytes/${BIG}`)
  await until('one offer in flight', (status) => status.handoffs.inFlight === 1)
  await cutChannel()
  agent.kill('SIGCONT')
  await sleep(2500)
  await mendChannel()
  assert.equal(await running, sha256OfBody(BIG))
  // The client's acknowledgements may have opened the flow, and the download be over, before the outcome is known.
  await until('one more adopted', ({ handoffs }) => handoffs.adopted === before.handoffs.adopted + 1)
  assert.equal((await statusOf(baton)).handoffs.lost, before.handoffs.lost)
})

test('a channel that stays cut until the offer is given up: what the client acknowledged proves the adoption', async () => {
  const before = await statusOf(baton)
  const agent = baton.process('media-1')
  agent.kill('SIGSTOP')
  const { socket, received } = ask(`/media/bytes/${BIG}`)
  await until('one offer in flight', (status) => status.handoffs.inFlight === 1)
  await cutChannel()
  agent.kill('SIGCONT')
  await received.until(/\r\n\r\n/)
  // More is left than all buffers hold: the flow must be steered when the client goes on.
  socket.pause()
  const given = ({ adopted, lost }: typeof before.handoffs) => adopted + lost
  await until('the offer given up', ({ handoffs }) => given(handoffs) === given(before.handoffs) + 1)
  await mendChannel()
  socket.resume()
  await received.closed
  const headBytes = received.text.indexOf('\r\n\r\n') + 4
  assert.equal(received.bytes.length - headBytes, BIG)
  const { handoffs } = await statusOf(baton)
  assert.deepEqual([handoffs.adopted, handoffs.lost], [before.handoffs.adopted + 1, before.handoffs.lost])
})

test('the frontend dies while it reads a head: that client is told, others are served by its successor', async () => {
  const socket = connectFrom(baton.net.client, baton.net.vip4)
  const received = new Received(socket)
  socket.write('GET /media/x HTTP/1.1\r\n')
  await sleep(200)
  baton.process('front-1').kill('SIGKILL')
  await baton.process('front-1').exited
  await received.closed
  assert.equal(received.bytes.length, 0)
  await startFrontend()
  assert.match(await answerOf('/media/y'), /"url":"\/media\/y"/)
})

test('the frontend dies while a connection is offered: its successor asks the agent, and the download is whole', async () => {
  const agent = baton.process('media-1')
  agent.kill('SIGSTOP')
  const running = download(baton, `/media/bytes/${BIG}`)
  await until('one offer in flight', (status) => status.handoffs.inFlight === 1)
  baton.process('front-1').kill('SIGKILL')
  await baton.process('front-1').exited
  agent.kill('SIGCONT')
  await startFrontend()
  assert.equal(await running, sha256OfBody(BIG))
})

for (const family of ['vip4', 'vip6'] as const) {
  test(`frontend and agent die in mid-handoff: the client is told by RST, not left to wait (${family})`, async () => {
    const agent = baton.process('media-1')
    agent.kill('SIGSTOP')
    const socket = connectFrom(baton.net.client, baton.net[family])
    const received = new Received(socket)
    socket.write('GET /media/x HTTP/1.1\r\nHost: x\r\n\r\n')
    await until('one offer in flight', (status) => status.handoffs.inFlight === 1)
    for (const victim of [baton.process('front-1'), agent]) {
      victim.kill('SIGKILL')
      await victim.exited
    }
    await Promise.all([startOne(), startFrontend()])
    await Promise.race([received.closed, sleep(10_000)])
    assert.equal(received.over, 'reset')
    assert.equal(received.bytes.length, 0)
  })
}

test('the frontend dies while an outcome is unknown: its successor finds it out, and the download is whole', async () => {
  const agent = baton.process('media-1')
  agent.kill('SIGSTOP')
  const running = download(baton, `/media/bytes/${BIG}`)
  await until('one offer in flight', (status) => status.handoffs.inFlight === 1)
  // Longer than the offer's budget: by now the agent was asked, and cannot answer.
  await sleep(800)
  assert.equal((await statusOf(baton)).handoffs.inFlight, 1)
  baton.process('front-1').kill('SIGKILL')
  await baton.process('front-1').exited
  agent.kill('SIGCONT')
  await startFrontend()
  assert.equal(await running, sha256OfBody(BIG))
})

test('the frontend stands still and dies while a connection is on its way back: its agent keeps it and relays', async () => {
  const socket = connectFrom(baton.net.client, baton.net.vip4)
  const received = new Received(socket)
  socket.write('GET /media/1 HTTP/1.1\r\nHost: x\r\n\r\n')
  await received.until(/"url":"\/media\/1".*\n/)
  baton.process('front-1').kill('SIGSTOP')
  socket.write('GET /2 HTTP/1.1\r\nHost: x\r\n\r\n')
  await received.until(/"backend":"web-1".*"url":"\/2".*\n/)
  baton.process('front-1').kill('SIGKILL')
  await baton.process('front-1').exited
  socket.write('GET /media/3 HTTP/1.1\r\nHost: x\r\n\r\n')
  await received.until(/"backend":"media-1".*"url":"\/media\/3".*\n/)
  await startFrontend()
  socket.write('GET /4 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
  await received.closed
  assert.match(received.text, /"backend":"web-1".*"url":"\/4"/)
})

test('the frontend dies after ADOPTED: the download goes on without it', async () => {
  const running = download(baton, `/media/bytes/${BIG}`, ['--limit-rate', '15M'])
  await sleep(500)
  baton.process('front-1').kill('SIGKILL')
  await baton.process('front-1').exited
  assert.equal(await running, sha256OfBody(BIG))
  await startFrontend()
  assert.match(await answerOf('/media/z'), /"url":"\/media\/z"/)
})

test('Redis goes away and comes back: handoffs go on, and what was written meanwhile is flushed', async () => {
  const before = await statusOf(baton)
  await baton.process('redis').stop()
  await until('Redis is missed', (status) => !status.registry.connected)
  for (let round = 0; round < 20; round++) assert.match(await answerOf('/media/no-redis'), /^HTTP\/1\.1 200 /)
  const away = await statusOf(baton)
  assert.equal(away.handoffs.adopted - before.handoffs.adopted, 20)
  await baton.startRedis()
  await until('Redis is back', (status) => status.registry.connected && status.registry.queuedWrites === 0)
  assert.match(await answerOf('/media/redis'), /^HTTP\/1\.1 200 /)
  assert.equal((await statusOf(baton)).handoffs.adopted - away.handoffs.adopted, 1)
})

test('10,000 handoffs in a row leave nothing behind', async () => {
  const batch = async (count: number) => {
    const quarter = count / 4
    const url = `http://${baton.net.vip4}/media/[1-${quarter}]`
    const run = async () => {
      const args = [
        '-s',
        '-S',
        '-o',
        '/dev/null',
        '-w',
        '%{http_code},%{errormsg}\n',
        '-H',
        'Connection: close',
        url,
      ]
      const done = await baton.net.client.exec('curl', args, { timeoutMs: 60_000 })
      return done.stdout
        .trim()
        .split('\n')
        .filter((line) => line !== '200,')
    }
    // Everything but 200 is shown as curl tells it.
    assert.deepEqual((await Promise.all([run(), run(), run(), run()])).flat(), [])
  }
  const heap = async (host: Host, port: number) => {
    const text = await host.run('curl', ['-s', `http://127.0.0.1:${port}/metrics`])
    return Number(/^process_resident_memory_bytes (\S+)/m.exec(text)?.[1])
  }
  await batch(2000)
  await until('all flows have ended', (status) => sum(status.flows) === 0)
  const before = {
    status: await statusOf(baton),
    files: [openFiles('front-1'), openFiles('media-1')],
    memory: [await heap(frontend, 9900), await heap(one, 9901)],
  }
  await batch(10_000)
  await until('all flows have ended', (status) => sum(status.flows) === 0)
  const after = await statusOf(baton)
  assert.equal(after.handoffs.adopted - before.status.handoffs.adopted, 10_000)
  assert.equal(sum(after.relays), sum(before.status.relays))
  assert.equal(after.handoffs.inFlight, 0)
  for (const [index, name] of (['front-1', 'media-1'] as const).entries()) {
    assert.ok(openFiles(name) <= before.files[index]! + 4, `${name}: ${openFiles(name)} descriptors`)
  }
  const sockets = await one.sockets('sport = :80')
  assert.deepEqual(
    sockets.filter((row) => row.state !== 'TIME-WAIT' && row.state !== 'LISTEN'),
    [],
  )
  const memory = [await heap(frontend, 9900), await heap(one, 9901)]
  for (const [index, bytes] of memory.entries()) {
    const grown = bytes - before.memory[index]!
    assert.ok(grown < 64 * 1024 * 1024, `resident memory grew by ${grown} bytes`)
  }
})
