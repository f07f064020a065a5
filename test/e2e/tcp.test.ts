import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { Socket } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { Deployment, type Host } from '../../src/lab/index.js'
import { bytesOf, sumOf } from './fixtures/line-server.js'
import { connectFrom, Received, statusOf } from './support.js'

const program = fileURLToPath(new URL('./fixtures/line-server.js', import.meta.url))
const SERVER_PORT = 2525
const BIG = 20_000_000

/** The ports of the VIP, by the way that their connections go. */
const ways = {
  inline: { port: 2001, name: 'inline-1', how: 'handoff', counted: {} },
  piped: { port: 2002, name: 'piped-1', how: 'handoff', counted: {} },
  relayed: { port: 2003, name: 'piped-1', how: 'relay', counted: { pool_policy: 1 } },
} as const
type Way = (typeof ways)[keyof typeof ways]

let baton: Deployment
let frontend: Host
let one: Host
let two: Host

before(async () => {
  baton = new Deployment({ prefix: 'bttcp', frontends: 1, backends: 2, redis: false })
  frontend = baton.net.frontends[0]!
  one = baton.net.backends[0]!
  two = baton.net.backends[1]!
  const args = [program, '--listen', `${one.ipv4}:${SERVER_PORT}`, '--name', 'piped-1']
  await baton.start('server', one, process.execPath, args).waitFor({ port: SERVER_PORT })
  await Promise.all([startPiped(), startInline()])
  await startFrontend()
})
after(() => baton?.dispose())

const startPiped = () =>
  baton.startAgent(one, 'piped-1', ['piped'], {
    deliver: { kind: 'tcp', address: `${one.ipv4}:${SERVER_PORT}` },
  })

async function startInline(): Promise<void> {
  const file = baton.writeSettings('inline.json', baton.agentSettings(two, 'inline-1', ['inline']))
  const args = [program, '--listen', `${two.ipv4}:${SERVER_PORT}`, '--inline', file]
  await baton.start('inline-1', two, process.execPath, args).waitFor({ port: 7400 })
}

async function startFrontend(): Promise<void> {
  const listeners = Object.entries(ways).flatMap(([name, { port }]) => [
    { name, address: `${baton.net.vip4}:${port}`, protocol: 'tcp' },
    { name: `${name}6`, address: `[${baton.net.vip6}]:${port}`, protocol: 'tcp' },
  ])
  const backend = (id: string, host: Host) => {
    return { id, agent: `${host.ipv4}:7400`, address: `${host.ipv4}:${SERVER_PORT}` }
  }
  const piped = backend('piped-1', one)
  await baton.startFrontend(frontend, 'front-1', {
    listeners: [
      { name: 'web', address: `${baton.net.vip4}:80` },
      { name: 'nobody', address: `${baton.net.vip4}:2009`, protocol: 'tcp' },
      ...listeners,
    ],
    routes: [
      { match: {}, pool: 'nobody' },
      { match: { listeners: ['nobody'] }, pool: 'nobody' },
      ...Object.keys(ways).map((pool) => ({ match: { listeners: [pool, `${pool}6`] }, pool })),
    ],
    pools: {
      inline: { backends: [backend('inline-1', two)] },
      piped: { backends: [piped] },
      relayed: { handoff: 'never', backends: [piped] },
      nobody: { handoff: 'never', backends: [{ id: 'nobody-1', address: `${one.ipv4}:9` }] },
    },
  })
}

/** A client of the VIP that has been greeted. */
async function greeted(
  { port, name }: Way,
  vip = baton.net.vip4,
): Promise<{ client: Socket; said: Received }> {
  const client = connectFrom(baton.net.client, vip, port, { allowHalfOpen: true })
  const said = new Received(client)
  await said.until(new RegExp(`^220 ${name} \\S+\r\n`))
  return { client, said }
}

/** Everything that a client writes, with back-pressure, and then its FIN. */
async function upload(client: Socket, count: number): Promise<void> {
  for (const chunk of bytesOf(count)) {
    if (!client.write(chunk)) await new Promise((resolve) => client.once('drain', resolve))
  }
  client.end()
}

interface Line {
  readonly listener: string
  readonly client: string
  readonly method: string | null
  readonly host: string | null
  readonly pool: string | null
  readonly backend: string | null
  readonly how: string
  readonly reason: string | null
  readonly status: number | null
  readonly bytesIn: number
  readonly bytesOut: number
  readonly cause: string
}

/** The access log's line that satisfies the condition, once it is there. */
async function logged(wanted: (line: Line) => boolean): Promise<Line> {
  for (let round = 0; round < 200; round++) {
    const lines = readFileSync(baton.file('front-1.access.log'), 'utf8').split('\n').filter(Boolean)
    const found = lines.map((line) => JSON.parse(line) as Line).find(wanted)
    if (found !== undefined) return found
    await sleep(50)
  }
  return assert.fail(`the access log has no line with ${wanted} within 10 s`)
}

/** Of the client with that port. */
const loggedOf = (port: number | undefined) => logged(({ client }) => client.endsWith(`:${port}`))

for (const [way, its] of Object.entries(ways)) {
  describe(`a tcp listener, ${way}`, () => {
    test('the server greets a client that says nothing; then they talk; the access log has one line', async () => {
      const before = await statusOf(baton)
      const { client, said } = await greeted(its)
      const after = await statusOf(baton)
      assert.equal(after.handoffs.adopted - before.handoffs.adopted, its.how === 'handoff' ? 1 : 0)
      for (const [reason, count] of Object.entries(its.counted)) {
        assert.equal((after.relays[reason] ?? 0) - (before.relays[reason] ?? 0), count)
      }
      const { localPort } = client
      const greetingBytes = said.bytes.length
      client.write('echo one\n')
      await said.until(/\r\none\r\n$/)
      client.write('bye\n')
      await said.until(/bye\r\n$/)
      client.end()
      await said.closed
      assert.equal(said.over, 'end')
      const { listener, method, host, pool, how, status, cause, bytesIn, bytesOut } =
        await loggedOf(localPort)
      assert.deepEqual(
        { listener, method, host, pool, how, status, bytesIn, bytesOut },
        {
          ...{ listener: way, method: null, host: null, pool: way, how: its.how, status: null },
          ...{ bytesIn: 13, bytesOut: greetingBytes + 10 },
        },
      )
      assert.ok(['backend', 'client'].includes(cause), cause)
    })

    test('what the client says first waits for the server; its FIN at once with it, too', async () => {
      const client = connectFrom(baton.net.client, baton.net.vip4, its.port, { allowHalfOpen: true })
      const said = new Received(client)
      client.end('echo first\necho second\n')
      await said.until(/^220 .*\r\nfirst\r\nsecond\r\n$/)
      await said.closed
      assert.equal(said.over, 'end')
    })

    test('a large upload that is on its way at the freeze arrives whole, and the answer after its FIN', async () => {
      const client = connectFrom(baton.net.client, baton.net.vip4, its.port, { allowHalfOpen: true })
      const said = new Received(client)
      client.write('sum\n')
      await upload(client, BIG)
      await said.until(new RegExp(`${sumOf(BIG)}\r\n$`), 20_000)
      await said.closed
      assert.equal(said.over, 'end')
    })

    test('a reset of either side reaches the other', async () => {
      const { client, said } = await greeted(its)
      client.write('reset\n')
      await said.closed
      assert.equal(said.over, 'reset')
      const other = await greeted(its)
      const { localPort } = other.client
      other.client.resetAndDestroy()
      const line = await loggedOf(localPort)
      assert.equal(line.cause, 'client')
    })

    test('IPv6 goes the same way', async () => {
      const { client, said } = await greeted(its, baton.net.vip6)
      client.write('send 3000000\n')
      const { localPort } = client
      while (said.bytes.length < 3_000_000) await sleep(5)
      client.end('bye\n')
      await said.closed
      const body = said.bytes.subarray(said.bytes.indexOf('\n') + 1).subarray(0, 3_000_000)
      assert.equal(createHash('sha256').update(body).digest('hex'), sumOf(3_000_000))
      assert.equal((await loggedOf(localPort)).listener, `${way}6`)
    })
  })
}

test('a server that sees its clients itself sees their own addresses', async () => {
  for (const [vip, address] of [
    [baton.net.vip4, baton.net.client.ipv4],
    [baton.net.vip6, baton.net.client.ipv6],
  ] as const) {
    const { client, said } = await greeted(ways.inline, vip)
    assert.equal(said.text, `220 inline-1 ${address}\r\n`)
    client.destroy()
  }
})

test('where no backend answers the client gets a reset, and the access log says why', async () => {
  const client = connectFrom(baton.net.client, baton.net.vip4, 2009)
  const said = new Received(client)
  client.write('hello\n')
  await said.closed
  assert.equal(said.over, 'reset')
  const { how, cause, bytesOut } = await logged(({ listener }) => listener === 'nobody')
  assert.deepEqual({ how, cause, bytesOut }, { how: 'relay', cause: 'BATON_NO_BACKEND', bytesOut: 0 })
})

test('with its agent down a connection is relayed, and handed over again afterwards', async () => {
  const agent = baton.process('piped-1')
  agent.kill('SIGKILL')
  await agent.exited
  await untilState('down')
  const before = await statusOf(baton)
  const { client } = await greeted(ways.piped)
  client.destroy()
  const relays = (await statusOf(baton)).relays
  assert.equal((relays.agent_down ?? 0) - (before.relays.agent_down ?? 0), 1)
  await startPiped()
  await untilState('up')
  const again = await greeted(ways.piped)
  again.client.destroy()
  assert.equal((await statusOf(baton)).handoffs.adopted - before.handoffs.adopted, 1)
})

async function untilState(state: string): Promise<void> {
  for (let round = 0; round < 100; round++) {
    const { backends } = await statusOf(baton)
    if (backends.find(({ id }) => id === 'piped-1')?.state === state) return
    await sleep(100)
  }
  assert.fail(`piped-1 is not ${state} within 10 s`)
}

test('conversations outlive kill -9 of the frontend: idle ones, and one in the midst of an upload', async () => {
  const idle = [
    await greeted(ways.inline),
    await greeted(ways.piped),
    await greeted(ways.piped, baton.net.vip6),
  ]
  const busy = await greeted(ways.piped)
  busy.client.write('sum\n')
  const uploading = upload(busy.client, BIG)
  const process = baton.process('front-1')
  process.kill('SIGKILL')
  await process.exited
  await uploading
  await busy.said.until(new RegExp(`${sumOf(BIG)}\r\n$`), 20_000)
  for (const { client, said } of idle) {
    client.write('echo still here\n')
    await said.until(/still here\r\n$/)
  }
  await startFrontend()
  for (const { client, said } of idle) {
    client.end('echo and now\n')
    await said.until(/and now\r\n$/)
    await said.closed
    assert.equal(said.over, 'end')
  }
})
