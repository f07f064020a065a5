import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import type { Socket } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { sha256OfBody } from '../../src/cli/demo/origin.js'
import { Deployment, type Host } from '../../src/lab/index.js'
import { connectFrom, Received, statusOf, sum } from './support.js'

const app = fileURLToPath(new URL('fixtures/app.js', import.meta.url))
const kinds = ['tcp', 'http', 'inline'] as const
type Kind = (typeof kinds)[number]
const BIG = 50_000_000

let baton: Deployment
let hosts: Record<Kind, Host>
const sockets: Socket[] = []

before(async () => {
  baton = new Deployment({ prefix: 'btdel', frontends: 1, backends: 3 })
  const [one, two, three] = baton.net.backends as [Host, Host, Host]
  hosts = { tcp: one, http: two, inline: three }
  await Promise.all([startBehindAgent('tcp'), startBehindAgent('http'), startInline()])
  await startFrontend()
})
after(async () => {
  for (const socket of sockets) socket.destroy()
  await baton?.dispose()
})

async function startBehindAgent(kind: 'tcp' | 'http'): Promise<void> {
  const host = hosts[kind]
  const address = `${host.ipv4}:8080`
  const args = [app, '--listen', address, '--name', kind]
  await baton.start(`app-${kind}`, host, process.execPath, args).waitFor({ port: 8080 })
  await baton.startAgent(host, kind, [kind], { deliver: { kind, address } })
}

async function startInline(): Promise<void> {
  const file = baton.writeSettings('inline.json', baton.agentSettings(hosts.inline, 'inline', ['inline']))
  const started = baton.start('inline', hosts.inline, process.execPath, [app, '--inline', file])
  await started.waitFor({ port: 7400 })
}

const startFrontend = () =>
  baton.startFrontend(baton.net.frontends[0]!, 'front-1', {
    routes: kinds.map((kind) => ({ match: { path: { prefix: `/${kind}/` } }, pool: kind })),
    pools: Object.fromEntries(
      kinds.map((kind) => [kind, { backends: [{ id: kind, agent: `${hosts[kind].ipv4}:7400` }] }]),
    ),
  })

function send(text: string, address = baton.net.vip4) {
  const socket = connectFrom(baton.net.client, address)
  sockets.push(socket)
  const received = new Received(socket)
  socket.write(text)
  return { socket, received }
}
const request = (path: string, more = '') => `GET ${path} HTTP/1.1\r\nHost: x\r\n${more}\r\n`

interface Line {
  readonly path: string
  readonly method: string
  readonly client: string
  readonly vip: string
  readonly pool: string
  readonly backend: string
  readonly how: string
  readonly status: number | null
  readonly bytesIn: number
  readonly bytesOut: number
  readonly cause: string
}

/** The one line of the access log about that path. */
async function lineOf(path: string): Promise<Line> {
  for (let round = 0; round < 100; round++) {
    const lines = readFileSync(baton.file('front-1.access.log'), 'utf8').split('\n').slice(0, -1)
    const found = lines.map((line) => JSON.parse(line) as Line).filter((line) => line.path === path)
    if (found.length > 0) {
      assert.equal(found.length, 1)
      return found[0]!
    }
    await sleep(50)
  }
  assert.fail(`no line about ${path} within 5 s`)
}

async function killFrontend(): Promise<void> {
  const front = baton.process('front-1')
  front.kill('SIGKILL')
  await front.exited
}

for (const kind of kinds) {
  describe(`deliver ${kind}`, () => {
    for (const family of ['IPv4', 'IPv6'] as const) {
      const vip = () => (family === 'IPv4' ? baton.net.vip4 : `[${baton.net.vip6}]`)

      test(`50 MB down and 5 MB up by ${family}, handed over`, async () => {
        const before = await statusOf(baton)
        const url = `http://${vip()}/${kind}/${family}/bytes/${BIG}`
        const script = `set -o pipefail; curl -sS --fail --max-time 20 '${url}' | sha256sum`
        const sum256 = await baton.net.client.run('bash', ['-c', script])
        assert.equal(sum256.slice(0, 64), sha256OfBody(BIG))
        const body = randomBytes(5_000_000)
        const upload = [
          '-sS',
          '--max-time',
          '20',
          '--data-binary',
          '@-',
          `http://${vip()}/${kind}/${family}/up`,
        ]
        const answer = await baton.net.client.run('curl', upload, { input: body })
        assert.match(answer, new RegExp(createHash('sha256').update(body).digest('hex')))
        const now = await statusOf(baton)
        assert.equal(now.handoffs.adopted - before.handoffs.adopted, 2)
        assert.equal(sum(now.relays), sum(before.relays))
        const line = await lineOf(`/${kind}/${family}/bytes/${BIG}`)
        assert.ok(line.bytesOut > BIG && line.bytesOut < BIG + 1000, `${line.bytesOut}`)
      })

      test(`the access log has one exact line for a connection by ${family}`, async () => {
        const path = `/${kind}/${family}/exact`
        const text = request(path, 'Connection: close\r\n')
        const { socket, received } = send(text, family === 'IPv4' ? baton.net.vip4 : baton.net.vip6)
        await once(socket, 'connect')
        const { localAddress, localPort } = socket
        await received.closed
        assert.match(received.text, /^HTTP\/1\.1 200 /)
        const line = await lineOf(path)
        assert.deepEqual(
          [line.how, line.method, line.pool, line.backend, line.status, line.bytesIn, line.bytesOut],
          ['handoff', 'GET', kind, kind, kind === 'tcp' ? null : 200, text.length, received.bytes.length],
        )
        assert.equal(line.client, `${family === 'IPv4' ? localAddress : `[${localAddress}]`}:${localPort}`)
        assert.equal(line.vip, `${vip()}:80`)
        assert.equal(line.cause, 'backend')
        // The application behind the VIP sees the client itself where the socket is the client's.
        if (kind === 'inline') assert.ok(received.text.includes(`"client":"${localAddress}"`), received.text)
      })
    }

    test('two requests on a kept connection are one line; the client ended it', async () => {
      const path = `/${kind}/kept`
      const { socket, received } = send(request(path))
      await received.until(/\r\n\r\n.*\n/s)
      socket.write(request(`/${kind}/second`))
      await received.until(/\r\n\r\n.*\r\n\r\n.*\n/s)
      socket.end()
      await received.closed
      const line = await lineOf(path)
      assert.deepEqual(
        [line.cause, line.bytesIn, line.bytesOut],
        ['client', request(path).length + request(`/${kind}/second`).length, received.bytes.length],
      )
    })

    test('HEAD has no body', async () => {
      const path = `/${kind}/head`
      const { received } = send(`HEAD ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`)
      await received.closed
      assert.match(received.text, /^HTTP\/1\.1 200 .*\r\n\r\n$/s)
      assert.equal((await lineOf(path)).method, 'HEAD')
    })

    test('a client of HTTP/1.0 without Host gets an answer that ends with the connection', async () => {
      const plain = send(`GET /${kind}/old HTTP/1.0\r\n\r\n`)
      await plain.received.closed
      assert.match(plain.received.text, /^HTTP\/1\.[01] 200 .*"url":"\/(tcp|http|inline)\/old"/s)
      assert.doesNotMatch(plain.received.text, /transfer-encoding/i)
      const open = send(`GET /${kind}/undelimited HTTP/1.0\r\n\r\n`)
      await open.received.closed
      assert.equal(open.received.over, 'end')
      assert.match(open.received.text, /\r\n\r\nto the end of the connection\n$/)
      assert.doesNotMatch(open.received.text, /transfer-encoding|content-length/i)
    })
  })
}

const numbersOf = (received: Received) =>
  [...received.text.matchAll(/data: (\d+)\n/g)].map((match) => Number(match[1]))

describe('kill -9 of the frontend cuts nobody who was handed over:', () => {
  test('raw 101 echo and server-sent events, of every kind', async () => {
    const upgrade = 'Connection: Upgrade\r\nUpgrade: raw\r\n'
    const echoes = kinds.map((kind) => ({ kind, ...send(request(`/${kind}/echo`, upgrade)) }))
    const streams = kinds.map((kind) => ({ kind, ...send(request(`/${kind}/events`)) }))
    for (const { received } of echoes) await received.until(/^HTTP\/1\.1 101 .*\r\n\r\n/s)
    for (const { received } of streams) await received.until(/data: 3\n\n/)
    for (const { socket, received } of echoes) {
      socket.write('before')
      await received.until(/before$/)
    }
    const { handoffs, relays } = await statusOf(baton)
    assert.ok(handoffs.adopted >= 6)
    assert.equal(sum(relays), 0)

    await killFrontend()
    for (const { received } of streams) {
      const last = numbersOf(received).at(-1) ?? 0
      await received.until(new RegExp(`data: ${last + 20}\n`))
    }
    const block = randomBytes(300_000)
    for (const { socket, received } of echoes) {
      const had = received.bytes.length
      socket.write(block)
      for (let round = 0; round < 100 && received.bytes.length < had + block.length; round++) await sleep(20)
      assert.deepEqual(received.bytes.subarray(had), block)
    }

    await startFrontend()
    for (const { kind, socket, received } of echoes) {
      socket.end('after')
      await received.closed
      assert.equal(received.over, 'end')
      assert.match(received.text, /after$/)
      const line = await lineOf(`/${kind}/echo`)
      const asked = request(`/${kind}/echo`, upgrade).length
      assert.equal(line.bytesIn, asked + 'before'.length + block.length + 'after'.length)
      assert.equal(line.bytesOut, received.bytes.length)
      assert.equal(line.cause, 'client')
    }
    for (const { kind, socket, received } of streams) {
      const numbers = numbersOf(received)
      assert.deepEqual(
        numbers,
        numbers.map((_, index) => index),
      )
      socket.destroy()
      const line = await lineOf(`/${kind}/events`)
      assert.deepEqual([line.how, line.cause], ['handoff', 'client'])
    }
  })
})
