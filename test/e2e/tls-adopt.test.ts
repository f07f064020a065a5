import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { changed, Deployment, type Host } from '../../src/lab/index.js'
import { extension, helloBody, message, record, serverName, vector } from '../gate/hellos.js'
import { type NginxLine, nginxTlsConfig } from './fixtures/nginx-tls.js'
import { connectFrom, Received, type Status, statusOf } from './support.js'
import { counted, curlWords, linesOf, makeCertificate, sClient, tlsDownload } from './tls-support.js'

const TLS_PORT = 8443
const FILE_BYTES = 100 << 20
const STREAMS = 300
const nginxes = ['nginx-1', 'nginx-2'] as const

let baton: Deployment
let root: string
let fileSha256: string
let smallSha256: string

before(async () => {
  baton = new Deployment({ prefix: 'bttla', frontends: 1, backends: 2 })
  root = baton.file('www')
  mkdirSync(root)
  await makeCertificate(baton, ['one.example', 'both.example'])
  fileSha256 = put('file.bin', randomBytes(FILE_BYTES))
  smallSha256 = put('small.bin', randomBytes(20_000))
  await Promise.all(nginxes.map(startNginx))
  await startFrontend()
  await untilUp()
})
after(() => baton?.dispose())

function put(name: string, content: Buffer): string {
  baton.write(join('www', name), content)
  return createHash('sha256').update(content).digest('hex')
}

const hostOf = (name: (typeof nginxes)[number]): Host => baton.net.backends[nginxes.indexOf(name)] as Host

async function startNginx(name: (typeof nginxes)[number]): Promise<void> {
  const folder = baton.directory
  const file = baton.write(`${name}.conf`, nginxTlsConfig({ name, port: TLS_PORT, folder, root }))
  await baton.start(`app-${name}`, hostOf(name), 'nginx', ['-c', file]).waitFor({ port: TLS_PORT })
  await baton.startAgent(hostOf(name), name, name === 'nginx-1' ? ['one', 'both'] : ['both'], {
    deliver: { kind: 'adopt', address: `127.0.0.1:${TLS_PORT}`, session: 'connection' },
  })
}

async function startFrontend(): Promise<void> {
  const at = (id: (typeof nginxes)[number]) => ({ id, agent: `${hostOf(id).ipv4}:7400` })
  await baton.startFrontend(baton.net.active, 'front-1', {
    listeners: [
      { name: 'secure', address: `${baton.net.vip4}:443`, protocol: 'tls' },
      { name: 'secure6', address: `[${baton.net.vip6}]:443`, protocol: 'tls' },
    ],
    routes: [
      { match: { sni: 'one.example' }, pool: 'one' },
      { match: { sni: 'both.example' }, pool: 'both' },
    ],
    pools: { one: { backends: [at('nginx-1')] }, both: { backends: nginxes.map(at) } },
    limits: { headBytes: 65_536 },
  })
}

async function until(what: string, holds: (status: Status) => boolean): Promise<void> {
  for (let round = 0; round < 200; round++) {
    if (holds(await statusOf(baton))) return
    await sleep(50)
  }
  assert.fail(`not within 10 s: ${what}`)
}

const untilUp = () =>
  until('the agents are up', ({ backends }) => backends.every(({ state }) => state === 'up'))

/** nginx's lines of a path that only one test asks for. */
const noted = (name: string, uri: string, count: number) =>
  linesOf<NginxLine>(baton.file(`${name}.access.log`), `${name} notes ${uri}`, (lines) => {
    return lines.filter((line) => line.uri === uri).length >= count
  }).then((lines) => lines.filter((line) => line.uri === uri))

test('nginx, unmodified, terminates TLS: HTTP/1.1 and HTTP/2, IPv4 and IPv6, and sees the client', async () => {
  const { net } = baton
  for (const [vip, address] of [
    [net.vip4, net.client.ipv4],
    [`[${net.vip6}]`, net.client.ipv6],
  ] as const) {
    for (const [flag, version] of [
      ['--http1.1', '1.1'],
      ['--http2', '2'],
    ] as const) {
      const uri = `/small.bin?${address}-${version}`
      const words = [
        ...curlWords(baton, 'one.example', vip),
        flag,
        '-o',
        '/dev/null',
        '-w',
        '%{http_version}',
      ]
      const seen = await counted(baton, () => net.client.run('curl', [...words, `https://one.example${uri}`]))
      assert.equal(seen.result, version)
      assert.equal(seen.adopted, 1)
      assert.deepEqual(seen.relays, {})
      const [line] = await noted('nginx-1', uri, 1)
      assert.deepEqual(
        { client: line?.client, name: line?.name, protocol: line?.protocol, tls: line?.tls },
        {
          client: address,
          name: 'one.example',
          protocol: `HTTP/${version === '2' ? '2.0' : version}`,
          tls: 'TLSv1.3',
        },
      )
    }
  }
})

test(`${STREAMS} streams share one connection`, async () => {
  const words = [...curlWords(baton, 'one.example'), '--http2', '-Z', '--parallel-max', '100']
  const out = ['-o', `${baton.directory}/stream-#1`, '-w', '%{http_version} %{num_connects}\\n']
  const seen = await counted(baton, () =>
    baton.net.client.run('curl', [...words, ...out, `https://one.example/small.bin?streams=[1-${STREAMS}]`]),
  )
  const lines = seen.result.trim().split('\n')
  assert.equal(lines.length, STREAMS)
  assert.ok(lines.every((line) => line.startsWith('2 ')))
  assert.equal(lines.filter((line) => line === '2 1').length, 1, 'curl connected once')
  assert.equal(seen.adopted, 1)
  const sums = await baton.net.client.run('bash', [
    '-c',
    `cat ${baton.directory}/stream-* | wc -c; sha256sum ${baton.directory}/stream-* | cut -c1-64 | sort -u`,
  ])
  assert.equal(sums, `${20_000 * STREAMS}\n${smallSha256}\n`)
})

test('100 MB over HTTP/1.1 and HTTP/2 do not cross the frontend, nor does it connect to anybody for them', async () => {
  const frontend = baton.net.active
  for (const flag of ['--http1.1', '--http2']) {
    const before = { bytes: frontend.counters('eth0').txBytes, snmp: frontend.snmp() }
    assert.equal(await tlsDownload(baton, 'https://one.example/file.bin', [flag]), fileSha256)
    const sent = frontend.counters('eth0').txBytes - before.bytes
    assert.ok(sent < FILE_BYTES / 5, `${sent} bytes sent`)
    assert.equal(changed(before.snmp, frontend.snmp())['Tcp.ActiveOpens'], undefined)
  }
})

/** What the session tickets of one connection are worth on the next one. */
async function resumed(name: string, args: readonly string[], uri: string): Promise<string> {
  const session = ['-servername', name, ...args, '-ign_eof']
  const request = `GET ${uri} HTTP/1.1\r\nHost: ${name}\r\nConnection: close\r\n\r\n`
  const file = baton.file('session.pem')
  const first = await sClient(baton, [...session, '-sess_out', file], request)
  assert.match(first, /^New, /m)
  return sClient(baton, [...session, '-sess_in', file], request)
}

test('sessions are resumed, at the same backend and at another one that has its ticket key', async () => {
  for (const version of ['-tls1_3', '-tls1_2']) {
    const uri = `/small.bin?resumed${version}`
    assert.match(await resumed('one.example', [version], uri), /^Reused, /m)
    assert.deepEqual(
      (await noted('nginx-1', uri, 2)).map((line) => line.resumed),
      ['.', 'r'],
    )
    // The pool takes turns.
    assert.match(await resumed('both.example', [version], `${uri}&both`), /^Reused, /m)
    const lines = [
      ...(await noted('nginx-1', `${uri}&both`, 1)),
      ...(await noted('nginx-2', `${uri}&both`, 1)),
    ]
    assert.deepEqual(lines.map((line) => line.resumed).sort(), ['.', 'r'])
  }
})

test('early data travels with the hello that it came with', async () => {
  for (const padding of [0, 12_000]) {
    const uri = `/small.bin?early-${padding}`
    const request = `GET ${uri} HTTP/1.1\r\nHost: one.example\r\nConnection: close\r\n`
    const file = baton.write(
      'early',
      Buffer.from(
        `${request}Cookie: ${'a'.repeat(padding / 2)}\r\nCookie: ${'b'.repeat(padding / 2)}\r\n\r\n`,
      ),
    )
    const session = baton.file('early.pem')
    const words = ['-servername', 'one.example', '-tls1_3', '-ign_eof']
    const seen = await counted(baton, async () => {
      await sClient(baton, [...words, '-sess_out', session], `${request}\r\n`)
      return sClient(baton, [...words, '-sess_in', session, '-early_data', file])
    })
    // The second request stands in the early data and nowhere else: that it was answered says that it was read.
    assert.match(seen.result, /Early data was accepted/)
    assert.match(seen.result, /^HTTP\/1\.1 200 /m)
    assert.equal(seen.adopted, 2)
    const lines = await noted('nginx-1', uri, 2)
    assert.deepEqual(
      lines.map(({ status }) => status),
      ['200', '200'],
    )
    // Whether nginx calls it early is a race of its own, by a direct connection too: not if the handshake's end has come.
    assert.equal(lines[0]?.early, '')
  }
})

test('each version of TLS that OpenSSL still speaks, in one handshake', async () => {
  for (const [flag, said] of [
    ['-tls1', 'TLSv1'],
    ['-tls1_1', 'TLSv1.1'],
    ['-tls1_2', 'TLSv1.2'],
    ['-tls1_3', 'TLSv1.3'],
  ] as const) {
    const uri = `/small.bin?${said}`
    const request = `GET ${uri} HTTP/1.1\r\nHost: one.example\r\nConnection: close\r\n\r\n`
    const words = ['-servername', 'one.example', flag, '-cipher', 'ALL:@SECLEVEL=0', '-ign_eof', '-msg']
    const seen = await counted(baton, () => sClient(baton, words, request))
    assert.equal(seen.adopted, 1, seen.result)
    assert.deepEqual(
      (await noted('nginx-1', uri, 1)).map(({ tls }) => tls),
      [said],
    )
  }
})

/** What a server of TLS 1.2 answers, with as many bytes in front of the name as the records can have. */
function longHello(bytes: number): Buffer {
  const wanted = [
    extension(10, vector(2, '\x00\x17')),
    extension(11, vector(1, '\x00')),
    extension(13, vector(2, '\x04\x03')),
  ]
  const make = (padding: number) => {
    const extensions = [
      extension(1000, Buffer.alloc(Math.floor(padding / 2), 1)),
      extension(1001, Buffer.alloc(Math.ceil(padding / 2), 2)),
    ]
    const all = [...extensions, ...wanted, serverName('one.example')]
    const whole = message(helloBody({ ciphers: Buffer.from([0xc0, 0x2b]), extensions: all }))
    const pieces = Array.from({ length: Math.ceil(whole.length / 16_384) }, (_, index) =>
      record(whole.subarray(index * 16_384, (index + 1) * 16_384)),
    )
    return Buffer.concat(pieces)
  }
  return make(60_000 + bytes - make(60_000).length)
}

test('a hello as large as it may be is handed over, and one byte more gets decode_error', async () => {
  const whole = longHello(65_536)
  assert.equal(whole.length, 65_536)
  const seen = await counted(baton, async () => {
    const socket = connectFrom(baton.net.client, baton.net.vip4, 443)
    const received = new Received(socket)
    socket.write(whole)
    await received.until(/^.{6}/s, 20_000)
    assert.deepEqual([received.bytes[0], received.bytes[5]], [22, 2])
    socket.destroy()
  })
  assert.equal(seen.adopted, 1)
  const socket = connectFrom(baton.net.client, baton.net.vip4, 443)
  const received = new Received(socket)
  socket.write(longHello(65_537))
  await received.closed
  assert.equal(received.bytes.toString('hex'), '15030100020232')
})

test('an HTTP/2 download outlives kill -9 of the frontend', async () => {
  const { adopted } = (await statusOf(baton)).handoffs
  const running = tlsDownload(baton, 'https://one.example/file.bin', ['--http2', '--limit-rate', '30M'])
  await until('the download is handed over', ({ handoffs }) => handoffs.adopted > adopted)
  const frontend = baton.process('front-1')
  frontend.kill('SIGKILL')
  await frontend.exited
  assert.equal(await running, fileSha256)
  await startFrontend()
  await untilUp()
  const words = [...curlWords(baton, 'one.example'), '--http2', '-o', '/dev/null', '-w', '%{http_version}']
  assert.equal(await baton.net.client.run('curl', [...words, 'https://one.example/small.bin']), '2')
})
