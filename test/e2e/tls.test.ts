import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { sha256OfBody } from '../../src/cli/demo/origin.js'
import { Deployment, type Host } from '../../src/lab/index.js'
import { fragmented, goldenHellos } from '../gate/hellos.js'
import { connectFrom, deliverTo, Received, startApp, statusOf } from './support.js'
import { counted, curlWords, makeCertificate, sClient, tlsDownload } from './tls-support.js'

const program = fileURLToPath(new URL('./fixtures/tls-origin.js', import.meta.url))
const TLS_PORT = 8443
const BIG = 50_000_000

let baton: Deployment
let frontend: Host
let one: Host
let two: Host
let three: Host
let four: Host

before(async () => {
  baton = new Deployment({ prefix: 'bttls', frontends: 1, backends: 4, redis: false })
  frontend = baton.net.frontends[0]!
  one = baton.net.backends[0]!
  two = baton.net.backends[1]!
  three = baton.net.backends[2]!
  four = baton.net.backends[3]!
  const names = ['h2', '*.inline', '*.b.inline', 'odd', '*.alpn', 'plain', 'gone', 'both']
  await makeCertificate(
    baton,
    names.map((name) => `${name}.example`),
  )
  await Promise.all([startTls(one, 'h2-1'), startTls(three, 'odd-1'), startApp(baton, three, 'plain-1')])
  await Promise.all([
    startPiped(),
    startInline(two, 'inline-1', ['inline']),
    startInline(four, 'both-1', ['both'], '--http2'),
    baton.startAgent(three, 'odd-1', ['odd', 'plain'], deliverTo(three)),
  ])
  await startFrontend()
})
after(() => baton?.dispose())

async function startTls(host: Host, name: string): Promise<void> {
  const args = [program, '--tls', baton.directory, '--listen', `${host.ipv4}:${TLS_PORT}`, '--name', name]
  await baton.start(`app-${name}`, host, process.execPath, args).waitFor({ port: TLS_PORT })
}

const startPiped = () =>
  baton.startAgent(one, 'h2-1', ['h2'], { deliver: { kind: 'tcp', address: `${one.ipv4}:${TLS_PORT}` } })

async function startInline(host: Host, id: string, pools: string[], ...more: string[]): Promise<void> {
  const file = baton.writeSettings(`${id}.json`, baton.agentSettings(host, id, pools))
  const args = [program, '--tls', baton.directory, '--inline', file, ...more]
  await baton.start(id, host, process.execPath, args).waitFor({ port: 7400 })
}

async function startFrontend(): Promise<void> {
  const at = (host: Host, id: string, port: number) => ({
    backends: [{ id, agent: `${host.ipv4}:7400`, address: `${host.ipv4}:${port}` }],
  })
  await baton.startFrontend(frontend, 'front-1', {
    listeners: [
      { name: 'web', address: `${baton.net.vip4}:80` },
      { name: 'secure', address: `${baton.net.vip4}:443`, protocol: 'tls' },
      { name: 'secure6', address: `[${baton.net.vip6}]:443`, protocol: 'tls' },
    ],
    routes: [
      { match: { sni: 'h2.example' }, pool: 'h2' },
      { match: { sni: '*.inline.example' }, pool: 'inline' },
      { match: { sni: 'aaa.example' }, pool: 'h2' },
      { match: { sni: 'odd.example' }, pool: 'odd' },
      { match: { sni: 'both.example' }, pool: 'both' },
      { match: { sni: '*.alpn.example', alpn: 'h2' }, pool: 'h2' },
      { match: { sni: '*.alpn.example' }, pool: 'inline' },
      { match: { sni: 'gone.example' }, pool: 'gone' },
      { match: { alpn: 'other' }, pool: 'inline' },
      { match: { host: 'plain.example' }, pool: 'plain' },
    ],
    pools: {
      h2: at(one, 'h2-1', TLS_PORT),
      inline: { backends: [{ id: 'inline-1', agent: `${two.ipv4}:7400` }] },
      both: { backends: [{ id: 'both-1', agent: `${four.ipv4}:7400` }] },
      odd: at(three, 'odd-1', TLS_PORT),
      plain: { handoff: 'never', backends: [{ id: 'plain-1', address: `${three.ipv4}:8080` }] },
      gone: { handoff: 'never', backends: [{ id: 'gone-1', address: `${three.ipv4}:9` }] },
    },
    limits: { headTimeoutMs: 1000 },
  })
}

/** curl over TLS to a name at the VIP, which must show the backend's certificate. */
async function curl(name: string, path: string, args: readonly string[] = [], vip = baton.net.vip4) {
  const words = [...curlWords(baton, name, vip), '-w', '%{http_version}\n', ...args]
  const text = await baton.net.client.run('curl', [...words, `https://${name}${path}`])
  const [body = '', version = ''] = text.split('\n')
  return { version, answer: JSON.parse(body) as Record<string, unknown> }
}

const client = (args: readonly string[]) => sClient(baton, args)
const counting = <T>(act: () => Promise<T>) => counted(baton, act)
const download = (name: string, args: readonly string[]) =>
  tlsDownload(baton, `https://${name}/bytes/${BIG}`, args)

interface Line {
  readonly listener: string
  readonly method: string | null
  readonly path: string | null
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
async function logged(what: string, wanted: (line: Line) => boolean): Promise<Line> {
  for (let round = 0; round < 100; round++) {
    const lines = readFileSync(baton.file('front-1.access.log'), 'utf8').split('\n').filter(Boolean)
    const found = lines.map((line) => JSON.parse(line) as Line).findLast(wanted)
    if (found !== undefined) return found
    await sleep(50)
  }
  return assert.fail(`the access log has no line of ${what} within 5 s`)
}

test('HTTP/2 and HTTP/1.1 by name to a server behind deliver tcp, each by one handoff', async () => {
  for (const [flag, version] of [
    ['--http2', '2'],
    ['--http1.1', '1.1'],
  ] as const) {
    const seen = await counting(() => curl('h2.example', '/who', [flag]))
    assert.equal(seen.result.version, version)
    assert.equal(seen.result.answer.backend, 'h2-1')
    assert.equal(seen.adopted, 1)
    assert.deepEqual(seen.relays, {})
  }
  const line = await logged('the handoff', ({ host, how }) => host === 'h2.example' && how === 'handoff')
  const { listener, method, path, pool, backend, status, cause } = line
  assert.deepEqual(
    { listener, method, path, pool, backend, status, cause },
    {
      listener: 'secure',
      method: null,
      path: null,
      pool: 'h2',
      backend: 'h2-1',
      status: null,
      cause: 'client',
    },
  )
  assert.ok(line.bytesIn > 300 && line.bytesOut > 500, JSON.stringify(line))
})

test('an https server as its own agent sees the client; several requests stay on one connection', async () => {
  const seen = await counting(async () => {
    const url = ['--resolve', `a.b.inline.example:443:${baton.net.vip4}`]
    const urls = [1, 2, 3].map((number) => `https://a.b.inline.example/${number}`)
    const words = ['-sS', '--fail', '--cacert', baton.file('cert.pem'), ...url, ...urls]
    const text = await baton.net.client.run('curl', words)
    return text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>)
  })
  assert.deepEqual(
    seen.result.map(({ backend, client: address, requestOnConnection }) => [
      backend,
      address,
      requestOnConnection,
    ]),
    [1, 2, 3].map((number) => ['inline-1', baton.net.client.ipv4, number]),
  )
  assert.equal(seen.adopted, 1)
  assert.equal(seen.returned, 0)
  assert.deepEqual(seen.relays, {})
})

test('a server of HTTP/2 as its own agent: both versions, many streams, and the client in its eyes', async () => {
  for (const [flag, version] of [
    ['--http2', '2'],
    ['--http1.1', '1.1'],
  ] as const) {
    const seen = await counting(() => curl('both.example', '/who', [flag]))
    assert.equal(seen.result.version, version)
    assert.deepEqual(
      [seen.result.answer.backend, seen.result.answer.client],
      ['both-1', baton.net.client.ipv4],
    )
    assert.equal(seen.adopted, 1)
    assert.deepEqual(seen.relays, {})
  }
  const streams = 200
  const seen = await counting(() => {
    const words = [
      '-sS',
      '--fail',
      '--cacert',
      baton.file('cert.pem'),
      '--http2',
      '-Z',
      '--parallel-max',
      '100',
    ]
    const target = ['--resolve', `both.example:443:${baton.net.vip4}`, `https://both.example/[1-${streams}]`]
    return baton.net.client.run('curl', [...words, '-w', '%{stderr}%{num_connects}', ...target])
  })
  const answers = seen.result
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>)
  assert.equal(new Set(answers.map(({ url }) => url)).size, streams)
  assert.equal(seen.adopted, 1)
  assert.equal(await download('both.example', ['--http2']), sha256OfBody(BIG))
})

test('IPv6 goes the same way', async () => {
  const seen = await counting(() => curl('h2.example', '/six', ['--http2'], `[${baton.net.vip6}]`))
  assert.equal(seen.result.version, '2')
  assert.equal(seen.adopted, 1)
})

test('a protocol that the client offers decides where a route says alpn', async () => {
  assert.equal((await curl('x.alpn.example', '/', ['--http2'])).answer.backend, 'h2-1')
  assert.equal((await curl('x.alpn.example', '/', ['--http1.1'])).answer.backend, 'inline-1')
})

test('the client sees one handshake, and the certificate of the backend', async () => {
  const said = await client(['-servername', 'h2.example', '-msg', '-verify_return_error'])
  assert.match(said, /Verify return code: 0 \(ok\)/)
  assert.equal(said.match(/<<< .*, ServerHello$/gm)?.length, 1, said)
  assert.equal(said.match(/>>> .*, ClientHello$/gm)?.length, 1, said)
  const older = await client(['-servername', 'h2.example', '-tls1_2', '-verify_return_error'])
  assert.match(older, /Protocol *: TLSv1\.2/)
})

test('a name that no route has, and none at all, get the alert unrecognized_name', async () => {
  for (const args of [['-servername', 'nobody.example'], ['-noservername'], ['-noservername', '-tls1_2']]) {
    const seen = await counting(() => client(args))
    assert.match(seen.result, /unrecognized name/)
    assert.deepEqual(seen.rejected, { unrecognized_name: 1 })
  }
  const { stderr, code } = await baton.net.client.exec('curl', [
    ...['-sS', '--resolve', `nobody.example:443:${baton.net.vip4}`, 'https://nobody.example/'],
  ])
  assert.equal(code, 35)
  assert.match(stderr, /unrecognized name/)
  const line = await logged('the refusal', ({ host }) => host === 'nobody.example')
  const { how, reason, status, method, bytesOut } = line
  assert.deepEqual(
    { how, reason, status, method, bytesOut },
    { how: 'reject', reason: 'BATON_NO_TLS_ROUTE', status: null, method: null, bytesOut: 7 },
  )
})

test('without a name a route by protocol still serves', async () => {
  assert.match(await client(['-noservername', '-alpn', 'other']), /ALPN protocol: other/)
})

test('what is no ClientHello gets the alert that fits, and a clean end', async () => {
  const hello = (version: number) => {
    const body = Buffer.concat([Buffer.from([3, version]), Buffer.alloc(33), Buffer.from([0, 2, 0, 5, 1, 0])])
    return Buffer.concat([Buffer.from([22, 3, 0, 0, body.length + 4, 1, 0, 0, body.length]), body])
  }
  for (const [sent, alert] of [
    [Buffer.from('GET / HTTP/1.1\r\nHost: h2.example\r\n\r\n'), 10],
    [hello(0), 70],
    [Buffer.from([22, 3, 1, 0, 5, 1, 0, 0, 1, 3]), 50],
    // A hello of TLS 1.0 without extensions has no name.
    [hello(1), 112],
    // A hello of SSL 2, as clients of old offer TLS 1.0 by.
    [Buffer.from('802e0103010015000000100000040000', 'hex'), 70],
  ] as const) {
    const socket = connectFrom(baton.net.client, baton.net.vip4, 443)
    const received = new Received(socket)
    socket.write(sent)
    await received.closed
    assert.equal(received.bytes.toString('hex'), `150301000202${alert.toString(16).padStart(2, '0')}`)
    assert.equal(received.over, 'end')
  }
})

test('a hello in many records and segments is handed over when it is whole', async () => {
  const golden = (await goldenHellos()).find(({ sni }) => sni === 'www.example')
  assert.ok(golden !== undefined)
  // The same name length, so that only the name changes.
  const bytes = Buffer.from(golden.bytes.toString('latin1').replace('www.example', 'aaa.example'), 'latin1')
  const ends = Array.from({ length: 12 }, (_, index) => (index + 1) * 20)
  const seen = await counting(async () => {
    const socket = connectFrom(baton.net.client, baton.net.vip4, 443)
    const received = new Received(socket)
    for (const byte of fragmented(bytes, ends)) {
      socket.write(Buffer.from([byte]))
      if (byte % 16 === 0) await sleep(1)
    }
    // A record of type handshake, and in it a ServerHello.
    await received.until(/^.{6}/s)
    assert.deepEqual([received.bytes[0], received.bytes[5]], [22, 2])
    socket.destroy()
  })
  assert.equal(seen.adopted, 1)
})

test('who says half a hello and falls silent is told the end', async () => {
  const socket = connectFrom(baton.net.client, baton.net.vip4, 443)
  const received = new Received(socket)
  socket.write(Buffer.from([22, 3, 1]))
  await received.closed
  assert.equal(received.bytes.toString('hex'), '15030100020100')
})

test('50 MB do not cross the frontend', async () => {
  const before = frontend.counters('eth0')
  assert.equal(await download('h2.example', []), sha256OfBody(BIG))
  const after = frontend.counters('eth0')
  assert.ok(after.txBytes - before.txBytes < BIG / 5, `${after.txBytes - before.txBytes} bytes sent`)
  assert.ok(after.rxBytes - before.rxBytes < BIG / 5, `${after.rxBytes - before.rxBytes} bytes received`)
})

test('an agent that reads HTTP does not get TLS: the bytes are relayed, and that is counted', async () => {
  const seen = await counting(() => curl('odd.example', '/', ['--http2']))
  assert.equal(seen.result.version, '2')
  assert.equal(seen.result.answer.backend, 'odd-1')
  assert.equal(seen.adopted, 0)
  assert.deepEqual(seen.relays, { agent_parses_http: 1 })
  const line = await logged('the relay', ({ host }) => host === 'odd.example')
  const { how, reason, backend, method, status } = line
  assert.deepEqual(
    { how, reason, backend, method, status },
    { how: 'relay', reason: 'agent_parses_http', backend: 'odd-1', method: null, status: null },
  )
  assert.ok(line.bytesIn > 300 && line.bytesOut > 500, JSON.stringify(line))
  assert.equal(await download('odd.example', []), sha256OfBody(BIG))
})

test('where no backend answers the client gets internal_error', async () => {
  const seen = await counting(() => client(['-servername', 'gone.example']))
  assert.match(seen.result, /internal error/)
  assert.deepEqual(seen.relays, { pool_policy: 1 })
  const line = await logged('the failure', ({ host }) => host === 'gone.example')
  assert.equal(line.cause, 'BATON_NO_BACKEND')
})

test('an http listener beside it goes its own way', async () => {
  const url = `http://${baton.net.vip4}/`
  assert.match(await baton.net.client.run('curl', ['-sS', '-H', 'Host: plain.example', url]), /"plain-1"/)
  const { stdout } = await baton.net.client.exec('curl', ['-sS', '-i', '-H', 'Host: h2.example', url])
  assert.match(stdout, /^HTTP\/1\.1 404 /)
})

test('with its agent down a name is relayed, and handed over again afterwards', async () => {
  const agent = baton.process('h2-1')
  agent.kill('SIGKILL')
  await agent.exited
  await untilState('down')
  const relayed = await counting(() => curl('h2.example', '/', ['--http2']))
  assert.equal(relayed.result.version, '2')
  assert.deepEqual(relayed.relays, { agent_down: 1 })
  await startPiped()
  await untilState('up')
  assert.equal((await counting(() => curl('h2.example', '/'))).adopted, 1)
})

async function untilState(state: string): Promise<void> {
  for (let round = 0; round < 100; round++) {
    const { backends } = await statusOf(baton)
    if (backends.find(({ id }) => id === 'h2-1')?.state === state) return
    await sleep(100)
  }
  assert.fail(`h2-1 is not ${state} within 10 s`)
}

test('a download outlives kill -9 of the frontend', async () => {
  const both = ['h2.example', 'a.inline.example'].map((name) => download(name, ['--limit-rate', '20M']))
  await sleep(1000)
  const process = baton.process('front-1')
  process.kill('SIGKILL')
  await process.exited
  assert.deepEqual(await Promise.all(both), [sha256OfBody(BIG), sha256OfBody(BIG)])
  await startFrontend()
  assert.equal((await curl('h2.example', '/again', ['--http2'])).version, '2')
})
