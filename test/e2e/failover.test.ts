import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { Socket } from 'node:net'
import { after, before, test } from 'node:test'
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'
import { sha256OfBody } from '../../src/cli/demo/origin.js'
import { flowKey } from '../../src/kernel/flow.js'
import { Deployment, type Host } from '../../src/lab/index.js'
import { restore } from '../../src/repair/index.js'
import { connectFrom, deliverTo, download, Received, type Status, startApp, sum } from './support.js'

let baton: Deployment
let one: Host
let two: Host
let media: Host
let web: Host
const sockets: Socket[] = []
const BIG = 30_000_000
const expected = sha256OfBody(BIG)
/** Six seconds: long enough for all of them to have begun, on a busy machine too, before the first is over. */
const SLOW = ['--limit-rate', '5M']

before(async () => {
  baton = new Deployment({ prefix: 'btfov', frontends: 2, backends: 2, redis: true })
  ;[one, two] = baton.net.frontends as [Host, Host]
  ;[media, web] = baton.net.backends as [Host, Host]
  await Promise.all([baton.startRedis(), startApp(baton, media, 'media-1'), startApp(baton, web, 'web-1')])
  await Promise.all([
    baton.startAgent(media, 'media-1', ['media'], deliverTo(media)),
    baton.startAgent(web, 'web-1', ['web'], deliverTo(web)),
  ])
  await Promise.all([startFrontend(one, 'front-1'), startFrontend(two, 'front-2')])
})
after(() => {
  for (const socket of sockets) socket.destroy()
  return baton?.dispose()
})

const startFrontend = (host: Host, id: string) =>
  baton.startFrontend(host, id, {
    routes: [
      { match: { path: { prefix: '/media/' } }, pool: 'media' },
      { match: {}, pool: 'web' },
    ],
    pools: {
      media: { backends: [{ id: 'media-1', agent: `${media.ipv4}:7400` }] },
      web: { backends: [{ id: 'web-1', agent: `${web.ipv4}:7400` }] },
    },
    steering: { interface: 'eth0', pinPath: baton.pinPath(id), lingerMs: 1000 },
  })

const status = async (host: Host) => (await baton.status(host)) as Status

/** Until the condition holds for both frontends. */
async function until(what: string, holds: (one: Status, two: Status) => boolean): Promise<void> {
  for (let round = 0; round < 150; round++) {
    if (holds(await status(one), await status(two))) return
    await sleep(100)
  }
  const [first, second] = [await status(one), await status(two)]
  assert.fail(`within 15 s: ${what}; ${JSON.stringify([first, second])}`)
}

const allEnded = () =>
  until('no flow is left in either table', (first, second) => sum(first.flows) + sum(second.flows) === 0)

/** Resets that the client's connections have got. */
const resets = () => baton.net.client.snmp()['Tcp.EstabResets'] ?? 0

/** A kept-alive connection of this process's. */
function connection() {
  const socket = connectFrom(baton.net.client, baton.net.vip4)
  sockets.push(socket)
  const received = new Received(socket)
  return {
    socket,
    received,
    /** The backend that answered. */
    async ask(path: string): Promise<string> {
      socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`)
      return (await received.until(new RegExp(`"backend":"([^"]+)"[^\\n]*"url":"${path}"[^\\n]*\\n`)))[1]!
    },
  }
}

async function upload(): Promise<void> {
  const body = randomBytes(12_000_000)
  const file = baton.write('upload', body)
  const words = [
    '-sS',
    '--max-time',
    '40',
    '-H',
    'Expect:',
    '--limit-rate',
    '2M',
    '--data-binary',
    `@${file}`,
  ]
  const url = `http://${baton.net.vip4}/media/up`
  const answer = await baton.net.client.run('curl', [...words, url], { timeoutMs: 45_000 })
  assert.match(answer, new RegExp(createHash('sha256').update(body).digest('hex')))
}

const lines = (id: string) => readFileSync(baton.file(`${id}.access.log`), 'utf8')

test('downloads and an upload in progress go on through the other frontend, which writes their lines', async () => {
  const before = resets()
  const running = Promise.all([
    upload(),
    ...['a', 'b', 'c'].map((name) => download(baton, `/media/${name}/bytes/${BIG}`, SLOW)),
  ])
  await until('all are handed over', ({ handoffs }) => handoffs.adopted === 4)
  await sleep(300)
  baton.net.moveVip(two)
  const [, ...sums] = await running
  assert.deepEqual(sums, [expected, expected, expected])
  assert.equal(resets(), before)
  const { failovers, handoffs } = await status(two)
  assert.equal(failovers.steered, 4)
  assert.equal(handoffs.adopted, 0)
  await allEnded()
  for (const path of ['/media/a/bytes/', '/media/b/bytes/', '/media/c/bytes/', '/media/up']) {
    await received(() => lines('front-2').includes(path))
    assert.ok(!lines('front-1').includes(path))
  }
})

/** The access log is written at leisure. */
async function received(holds: () => boolean): Promise<void> {
  for (let round = 0; round < 50 && !holds(); round++) await sleep(100)
  assert.ok(holds())
}

test('a kept-alive connection of one frontend is served through the other, and moves to another pool through it', async () => {
  baton.net.moveVip(one)
  const client = connection()
  assert.equal(await client.ask('/media/1'), 'media-1')
  const before = await status(two)
  baton.net.moveVip(two)
  assert.equal(await client.ask('/media/2'), 'media-1')
  assert.equal(await client.ask('/3'), 'web-1')
  assert.equal(await client.ask('/media/4'), 'media-1')
  const now = await status(two)
  assert.equal(now.failovers.steered - before.failovers.steered, 1)
  assert.equal(now.handoffs.returned - before.handoffs.returned, 2)
  assert.equal(now.handoffs.adopted - before.handoffs.adopted, 2)
  client.socket.end()
  await client.received.closed
  assert.equal(client.received.over, 'end')
  await allEnded()
})

test('a VIP that goes to and fro takes its connections along, wherever they were moved meanwhile', async () => {
  const before = resets()
  const { handoffs } = await status(two)
  const running = download(baton, `/media/bytes/${BIG}`, SLOW)
  // A head that is still being read ends with the VIP.
  await until('it is handed over', (_first, second) => second.handoffs.adopted - handoffs.adopted === 1)
  const client = connection()
  assert.equal(await client.ask('/media/0'), 'media-1')
  for (const [round, to] of [one, two, one, two].entries()) {
    baton.net.moveVip(to)
    assert.equal(await client.ask(`/media/${round}/same`), 'media-1')
    assert.equal(await client.ask(`/${round}/other`), 'web-1')
    assert.equal(await client.ask(`/media/${round}/back`), 'media-1')
    await sleep(600)
  }
  assert.equal(await running, expected)
  client.socket.end()
  await client.received.closed
  assert.equal(resets(), before)
  await allEnded()
})

test('200 idle kept-alive connections survive the move and are answered again', async () => {
  baton.net.moveVip(one)
  const clients: ReturnType<typeof connection>[] = []
  while (clients.length < 200) {
    clients.push(connection())
    // The thread is back in its own namespace in the next turn.
    await nextTurn()
  }
  const first = await Promise.all(clients.map((client, index) => client.ask(`/media/first/${index}`)))
  assert.deepEqual(new Set(first), new Set(['media-1']))
  const before = await status(two)
  baton.net.moveVip(two)
  const again = await Promise.all(clients.map((client, index) => client.ask(`/media/again/${index}`)))
  assert.deepEqual(new Set(again), new Set(['media-1']))
  const now = await status(two)
  assert.equal(now.failovers.steered - before.failovers.steered, 200)
  assert.equal(now.failovers.waiting, 0)
  await until('the other frontend has forgotten them', (first) => first.flows.live === 0)
  for (const { socket } of clients) socket.end()
  await Promise.all(clients.map((client) => client.received.closed))
  assert.ok(clients.every((client) => client.received.over === 'end'))
  await allEnded()
})

test('a segment of a connection that no frontend ever noted is answered with RST', async () => {
  const before = await status(two)
  const nothing = Buffer.alloc(0)
  const fd = baton.net.client.inside(() =>
    restore({
      // From the client's end: its own address is the local one.
      flow: flowKey({
        client: { address: baton.net.vip4, port: 80 },
        vip: { address: baton.net.client.ipv4, port: 12_345 },
      }),
      socketFamily: 4,
      receive: { nextSequence: 1000, queue: nothing },
      send: { writeSequence: 2000, queue: nothing, unsentBytes: 0 },
      window: { sndWl1: 1000, sndWnd: 60_000, maxWindow: 60_000, rcvWnd: 60_000, rcvWup: 1000 },
      mss: 1460,
      options: { sack: false, windowScale: null, timestamps: null },
      socket: { congestion: 'cubic', noDelay: true, keepAlive: null, userTimeoutMs: 0, tos: 0, mark: 0 },
    }),
  )
  const stranger = new Socket({ fd })
  const got = new Received(stranger)
  stranger.write('GET /media/nobody HTTP/1.1\r\n')
  await got.closed
  assert.equal(got.over, 'reset')
  const now = await status(two)
  assert.equal(now.failovers.unknown - before.failovers.unknown, 1)
  assert.equal(now.failovers.steered, before.failovers.steered)
})

test('Redis is away during the move, and back empty within three seconds: the downloads go on', async () => {
  baton.net.moveVip(one)
  const before = resets()
  const { handoffs } = await status(one)
  const { failovers } = await status(two)
  const running = Promise.all(
    ['a', 'b', 'c'].map((name) => download(baton, `/media/${name}/bytes/${BIG}`, SLOW)),
  )
  await until('all are handed over', (first) => first.handoffs.adopted - handoffs.adopted === 3)
  await baton.process('redis').stop()
  await until('Redis is missed', (_first, second) => !second.registry.connected)
  baton.net.moveVip(two)
  await sleep(1500)
  await baton.startRedis()
  assert.deepEqual(await running, [expected, expected, expected])
  assert.equal(resets(), before)
  assert.equal((await status(two)).failovers.steered - failovers.steered, 3)
  await allEnded()
})

test('the frontend is killed and the VIP moves: downloads go on, and the dead one comes back without their flows', async () => {
  baton.net.moveVip(one)
  const before = resets()
  const { handoffs } = await status(one)
  const running = Promise.all(['a', 'b'].map((name) => download(baton, `/media/${name}/bytes/${BIG}`, SLOW)))
  await until('both are handed over', (first) => first.handoffs.adopted - handoffs.adopted === 2)
  baton.process('front-1').kill('SIGKILL')
  await baton.process('front-1').exited
  baton.net.moveVip(two)
  await sleep(500)
  await startFrontend(one, 'front-1')
  assert.deepEqual(await running, [expected, expected])
  assert.equal(resets(), before)
  await allEnded()
})

test('a frontend that has only just started waits for its agents before it decides', async () => {
  baton.net.moveVip(one)
  const client = connection()
  assert.equal(await client.ask('/media/1'), 'media-1')
  baton.process('front-2').kill('SIGKILL')
  await baton.process('front-2').exited
  const agent = baton.process('media-1')
  agent.kill('SIGSTOP')
  await startFrontend(two, 'front-2')
  baton.net.moveVip(two)
  const answer = client.ask('/media/2')
  await until('the question is asked', (_first, second) => second.failovers.waiting > 0)
  agent.kill('SIGCONT')
  assert.equal(await answer, 'media-1')
  client.socket.end()
  await client.received.closed
  await allEnded()
})
