import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import type { Socket } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect as connectTls } from 'node:tls'
import { fileURLToPath } from 'node:url'
import { Agent, EventSource } from 'undici'
import { WebSocket } from 'ws'
import { Deployment, type Host } from '../../src/lab/index.js'
import { connectFrom, statusOf, sum } from './support.js'

const app = fileURLToPath(new URL('fixtures/streams.js', import.meta.url))

/** Every way in which a connection comes to an application, with TLS ended there and without TLS. */
const ways = ['inline', 'http', 'tcp', 'adopt', 'inline-tls', 'tcp-tls', 'adopt-tls'] as const
type Way = (typeof ways)[number]
const isTls = (way: Way) => way.endsWith('-tls')
/** Where the agent reads the answers: the access log has their status. */
const readsAnswers = (way: Way) => way === 'inline' || way === 'http' || way === 'inline-tls'

/** close_notify of TLS 1.3, encrypted. */
const CLOSING_ALERT_BYTES = 24

let baton: Deployment
let certificate: string
const open: (() => void)[] = []

before(async () => {
  baton = new Deployment({ prefix: 'btstr', frontends: 1, backends: ways.length })
  await baton.net.client.run('openssl', [
    ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'],
    ...[
      '-subj',
      '/CN=baton test',
      '-addext',
      `subjectAltName=${ways.map((way) => `DNS:${way}.example`).join(',')}`,
    ],
    ...['-keyout', baton.file('key.pem'), '-out', baton.file('cert.pem')],
  ])
  certificate = readFileSync(baton.file('cert.pem'), 'utf8')
  await Promise.all(ways.map(startBackend))
  await startFrontend()
})
after(async () => {
  for (const close of open) close()
  await baton?.dispose()
})

const hostOf = (way: Way) => baton.net.backends[ways.indexOf(way)] as Host

async function startBackend(way: Way): Promise<void> {
  const host = hostOf(way)
  const tls = isTls(way) ? ['--tls', baton.directory] : []
  const kind = way.replace('-tls', '')
  if (kind === 'inline') {
    const file = baton.writeSettings(`${way}.json`, baton.agentSettings(host, way, [way]))
    const program = baton.start(way, host, process.execPath, [app, ...tls, '--inline', file])
    await program.waitFor({ port: 7400 })
    return
  }
  const address = `${host.ipv4}:8080`
  const program = baton.start(`app-${way}`, host, process.execPath, [app, ...tls, '--listen', address])
  await program.waitFor({ port: 8080 })
  const session = kind === 'adopt' ? { session: 'connection' } : {}
  await baton.startAgent(host, way, [way], { deliver: { kind, address, ...session } })
}

function startFrontend() {
  const match = (way: Way) => (isTls(way) ? { sni: `${way}.example` } : { path: { prefix: `/${way}/` } })
  return baton.startFrontend(baton.net.frontends[0] as Host, 'front-1', {
    listeners: [
      { name: 'web', address: `${baton.net.vip4}:80` },
      { name: 'secure', address: `${baton.net.vip4}:443`, protocol: 'tls' },
    ],
    routes: ways.map((way) => ({ match: match(way), pool: way })),
    pools: Object.fromEntries(
      ways.map((way) => [way, { backends: [{ id: way, agent: `${hostOf(way).ipv4}:7400` }] }]),
    ),
  })
}

async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const giveUpMs = performance.now() + 30_000
  while (!(await holds())) {
    if (performance.now() > giveUpMs) throw new Error(`waited in vain for: ${what}`)
    await sleep(20)
  }
}

/** The client's TCP socket, and what runs over it. */
function dial(way: Way): { readonly tcp: Socket; readonly socket: Socket } {
  const tcp = connectFrom(baton.net.client, baton.net.vip4, isTls(way) ? 443 : 80)
  if (!isTls(way)) return { tcp, socket: tcp }
  return { tcp, socket: connectTls({ socket: tcp, servername: `${way}.example`, ca: certificate }) }
}

/** A WebSocket client of the package ws, with what it has heard. */
class Talker {
  readonly way: Way
  readonly tcp: Socket
  readonly web: WebSocket
  readonly heard: string[] = []
  readonly errors: unknown[] = []

  constructor(way: Way, path = `/${way}/ws`) {
    this.way = way
    const { tcp, socket } = dial(way)
    this.tcp = tcp
    this.web = new WebSocket(`${isTls(way) ? 'wss' : 'ws'}://${way}.example${path}`, {
      createConnection: () => socket,
      perMessageDeflate: false,
    })
    this.web.on('message', (data) => this.heard.push(data.toString('latin1')))
    this.web.on('error', (error) => this.errors.push(error))
    tcp.on('error', (error) => this.errors.push(error))
    open.push(() => this.web.terminate())
  }

  /** Says something, and waits for it to come back. */
  async echo(text: string): Promise<void> {
    const earlier = this.heard.length
    this.web.send(text)
    await until(`${this.way} hears ${text.slice(0, 20)}`, () => this.heard.length > earlier)
    assert.equal(this.heard.at(-1), text)
  }

  async ping(): Promise<void> {
    const pong = once(this.web, 'pong')
    this.web.ping('are you there')
    const [data] = await pong
    assert.equal(String(data), 'are you there')
  }
}

/** An EventSource with what it has got: it would connect again by itself, and `opened` counts how often. */
class Listener {
  readonly way: Way
  readonly numbers: number[] = []
  opened = 0

  constructor(way: Way) {
    this.way = way
    const dispatcher = new Agent({
      connect: (_options, callback) => {
        const { socket } = dial(way)
        socket.once(isTls(way) ? 'secureConnect' : 'connect', () => callback(null, socket))
      },
    })
    const url = `${isTls(way) ? 'https' : 'http'}://${way}.example/${way}/events`
    const source = new EventSource(url, { node: { dispatcher } })
    source.onopen = () => {
      this.opened++
    }
    source.onmessage = ({ data }) => this.numbers.push(Number(data))
    open.push(() => {
      source.close()
      void dispatcher.destroy()
    })
  }
}

interface Line {
  readonly path: string | null
  readonly host: string | null
  readonly pool: string
  readonly how: string
  readonly status: number | null
  readonly requests: number | null
  readonly bytesIn: number
  readonly bytesOut: number
  readonly durationMs: number
  readonly cause: string
  readonly client: string
}

/** The access log's line about that client's connection, once it is there. */
async function lineOf(client: string): Promise<Line> {
  let found: Line | undefined
  await until(`a line about ${client}`, () => {
    const lines = readFileSync(baton.file('front-1.access.log'), 'utf8').split('\n').slice(0, -1)
    found = lines.map((line) => JSON.parse(line) as Line).find((line) => line.client === client)
    return found !== undefined
  })
  return found as Line
}

async function killFrontend(): Promise<void> {
  const front = baton.process('front-1')
  front.kill('SIGKILL')
  await front.exited
}

const resets = () => baton.net.client.snmp()['Tcp.EstabResets'] ?? 0

test('WebSockets and event streams of every way live through the death of the frontend', async () => {
  const talkers = ways.map((way) => new Talker(way))
  const listeners = ways.map((way) => new Listener(way))
  for (const { web } of talkers) if (web.readyState !== WebSocket.OPEN) await once(web, 'open')
  await until('events everywhere', () => listeners.every(({ numbers }) => numbers.length >= 3))
  const { handoffs, relays } = await statusOf(baton)
  assert.equal(handoffs.adopted, 2 * ways.length)
  assert.equal(sum(relays), 0)
  const before = resets()
  const long = randomBytes(200_000).toString('hex')
  for (const talker of talkers) {
    await talker.echo('before')
    await talker.echo(long)
    await talker.ping()
  }

  await killFrontend()
  const seen = listeners.map(({ numbers }) => numbers.length)
  for (const talker of talkers) {
    await talker.echo('while it is dead')
    await talker.echo(long)
    await talker.ping()
  }
  await until('events go on', () =>
    listeners.every(({ numbers }, at) => numbers.length > (seen[at] ?? 0) + 20),
  )

  await startFrontend()
  for (const talker of talkers) await talker.echo('after')
  assert.equal(resets(), before)
  for (const { way, opened, numbers } of listeners) {
    // No number is missing or came twice, on one connection.
    assert.equal(opened, 1, way)
    assert.deepEqual(
      numbers,
      numbers.map((_, index) => index + 1),
      way,
    )
  }
  for (const { way, errors } of talkers) assert.deepEqual(errors, [], way)

  // And the successor writes their lines, to the byte.
  for (const { way, tcp, web } of talkers) {
    const { localAddress, localPort } = tcp
    web.close(1000, 'done')
    const [code, reason] = await once(web, 'close')
    assert.deepEqual([code, String(reason)], [1000, 'done'], way)
    const line = await lineOf(`${localAddress}:${localPort}`)
    assert.deepEqual(
      [line.how, line.pool, line.status, line.requests, line.bytesIn, line.bytesOut],
      [
        'handoff',
        way,
        readsAnswers(way) ? 101 : null,
        readsAnswers(way) ? 1 : null,
        tcp.bytesWritten,
        tcp.bytesRead,
      ],
      way,
    )
    assert.equal(isTls(way) ? line.host : line.path, isTls(way) ? `${way}.example` : `/${way}/ws`)
  }
})

describe('the access log has one exact line for', () => {
  for (const way of ways) {
    test(`two requests on a connection that the server ends (${way})`, async () => {
      const { tcp, socket } = dial(way)
      open.push(() => tcp.destroy())
      let text = ''
      socket.on('data', (bytes) => {
        text += bytes
      })
      await once(socket, isTls(way) ? 'secureConnect' : 'connect')
      const startedAtMs = Date.now()
      const client = `${tcp.localAddress}:${tcp.localPort}`
      socket.write(`GET /${way}/one HTTP/1.1\r\nHost: x\r\n\r\n`)
      await until('the first answer', () => text.endsWith('hello\n'))
      socket.write(`GET /${way}/two HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`)
      await once(tcp, 'close')
      assert.equal(text.split('HTTP/1.1 200 OK').length, 3)
      const line = await lineOf(client)
      const answers = readsAnswers(way) ? { status: 200, requests: 2 } : { status: null, requests: null }
      assert.deepEqual(
        [line.how, line.status, line.requests, line.bytesOut],
        ['handoff', answers.status, answers.requests, tcp.bytesRead],
      )
      // A client of TLS ends its side at the server's alert, and its FIN may come before the server's own. Only who reads
      // TLS knows better than the order of the two.
      const causes = isTls(way) && way !== 'inline-tls' ? ['backend', 'client'] : ['backend']
      assert.ok(causes.includes(line.cause), line.cause)
      // A server that has ended does not read the client's own closing alert any more.
      const unread = isTls(way) ? [0, CLOSING_ALERT_BYTES] : [0]
      assert.ok(unread.includes(tcp.bytesWritten - line.bytesIn), `${tcp.bytesWritten} − ${line.bytesIn}`)
      assert.ok(line.durationMs >= 0 && line.durationMs <= Date.now() - startedAtMs + 1000)
    })

    test(`a WebSocket that its client breaks off (${way})`, async () => {
      const talker = new Talker(way)
      await once(talker.web, 'open')
      await talker.echo('hello')
      const client = `${talker.tcp.localAddress}:${talker.tcp.localPort}`
      talker.tcp.resetAndDestroy()
      const line = await lineOf(client)
      // The kernel's own count of an adopted connection is the same, to the byte.
      assert.deepEqual(
        [line.how, line.status, line.bytesIn, line.cause],
        ['handoff', readsAnswers(way) ? 101 : null, talker.tcp.bytesWritten, 'client'],
      )
    })
  }
})
