import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { Deployment, type Host } from '../../src/lab/index.js'
import { block, ipv4Addresses, tlv } from '../proxy-protocol/headers.js'
import { proxiedNginx } from './fixtures/proxied-nginx.js'
import { connectFrom, Received, statusOf } from './support.js'

const fixture = (name: string) => fileURLToPath(new URL(`./fixtures/${name}.js`, import.meta.url))
const LINE_PORT = 2525

/**
 * Listeners of the VIP, by port, all behind the balancer but the last two:
 * http to an agent that parses it, to be relayed, to two pools; tls; tcp inline; tcp to nginx by header, piped and relayed.
 */
const ports = {
  http: 8001,
  relayed: 8002,
  tls: 8003,
  line: 8004,
  piped: 8005,
  spliced: 8006,
  own: 8007,
  version1: 8008,
}

let baton: Deployment
let frontend: Host
/** The balancer in front: HAProxy, which sends version 2 with a checksum and TLVs, or at ports + 1000 version 1. */
let balancer: Host
let apps: Host
let inline: Host
let piped: Host
let secure: Host

before(async () => {
  baton = new Deployment({ prefix: 'btppx', frontends: 2, backends: 5, redis: false })
  ;[frontend, balancer] = baton.net.frontends as [Host, Host]
  const [one, two, three, four, five] = baton.net.backends as [Host, Host, Host, Host, Host]
  apps = one
  inline = two
  piped = three
  secure = four
  await makeCertificate()
  const nginx = baton.write('nginx.conf', proxiedNginx(baton.directory, apps.ipv4))
  baton.start('nginx', apps, 'nginx', ['-p', baton.directory, '-c', nginx])
  const at = (port: number) => `${apps.ipv4}:${port}`
  await Promise.all([
    baton.process('nginx').waitFor({ port: 8081 }),
    baton.startAgent(apps, 'http-1', ['http'], { deliver: { kind: 'http', address: at(8080) } }),
    startInline('line-1', inline, [fixture('line-server'), '--listen', `${inline.ipv4}:${LINE_PORT}`]),
    startInline('tls-1', secure, [fixture('tls-origin'), '--tls', baton.directory]),
    baton.startAgent(piped, 'piped-1', ['piped'], {
      deliver: { kind: 'tcp', address: at(8081), proxyProtocol: 'v2' },
    }),
    baton.startAgent(five, 'piped-2', ['version1', 'other'], {
      deliver: { kind: 'tcp', address: at(8081), proxyProtocol: 'v1' },
    }),
  ])
  await startFrontend(five)
  await startBalancer()
})
after(() => baton?.dispose())

async function makeCertificate(): Promise<void> {
  await baton.net.client.run('openssl', [
    ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'],
    ...['-subj', '/CN=baton test', '-addext', 'subjectAltName=DNS:a.example'],
    ...['-keyout', baton.file('key.pem'), '-out', baton.file('cert.pem')],
  ])
}

async function startInline(id: string, host: Host, args: readonly string[]): Promise<void> {
  const pool = id.replace(/-1$/, '')
  const file = baton.writeSettings(`${id}.json`, baton.agentSettings(host, id, [pool]))
  await baton.start(id, host, process.execPath, [...args, '--inline', file]).waitFor({ port: 7400 })
}

let fifth: Host
async function startFrontend(five: Host): Promise<void> {
  fifth = five
  const { client, vip4, vip6 } = baton.net
  const proxyProtocol = { from: [balancer.ipv4, 'fd00::2', `${client.ipv4}/31`, '2001:db8::/64'] }
  const listener = (name: keyof typeof ports, more: object) => [
    { name, address: `${vip4}:${ports[name]}`, proxyProtocol, ...more },
    { name: `${name}6`, address: `[${vip6}]:${ports[name]}`, proxyProtocol, ...more },
  ]
  const tcp = { protocol: 'tcp' }
  const direct = { ...tcp, proxyProtocol: undefined }
  const backend = (id: string, host: Host, address?: string) => ({
    backends: [{ id, agent: `${host.ipv4}:7400`, ...(address === undefined ? {} : { address }) }],
  })
  const nginx = `${apps.ipv4}:8081`
  const route = (name: string, pool: string) => ({ match: { listeners: [name, `${name}6`] }, pool })
  await baton.startFrontend(frontend, 'front-1', {
    listeners: [
      { name: 'web', address: `${vip4}:80` },
      { name: 'strict', address: `${vip4}:8010`, proxyProtocol: { from: [balancer.ipv4] } },
      ...listener('http', {}),
      ...listener('tls', { protocol: 'tls' }),
      ...(['relayed', 'line', 'piped', 'spliced'] as const).flatMap((name) => listener(name, tcp)),
      ...listener('own', direct),
      ...listener('version1', direct),
    ],
    routes: [
      { match: { host: 'relayed.example' }, pool: 'never' },
      { match: { host: 'gone.example' }, pool: 'gone' },
      { match: {}, pool: 'http' },
      { match: { sni: '*' }, pool: 'tls' },
      route('relayed', 'lineRelayed'),
      route('line', 'line'),
      route('piped', 'piped'),
      route('spliced', 'spliced'),
      route('own', 'piped'),
      route('version1', 'version1'),
    ],
    pools: {
      http: backend('http-1', apps, `${apps.ipv4}:8080`),
      never: { handoff: 'never', backends: [{ id: 'never-1', address: `${apps.ipv4}:8080` }] },
      gone: { handoff: 'never', backends: [{ id: 'gone-1', address: `${apps.ipv4}:9` }] },
      tls: backend('tls-1', secure),
      line: backend('line-1', inline),
      lineRelayed: {
        handoff: 'never',
        backends: [{ id: 'line-2', address: `${inline.ipv4}:${LINE_PORT}` }],
      },
      piped: { ...backend('piped-1', piped, nginx), proxyProtocol: 'v2' },
      version1: { ...backend('piped-2', five, nginx), proxyProtocol: 'v1' },
      spliced: { handoff: 'never', proxyProtocol: 'v2', backends: [{ id: 'spliced-1', address: nginx }] },
    },
  })
}

async function startBalancer(): Promise<void> {
  const { vip4, vip6 } = baton.net
  const behind = ['http', 'relayed', 'tls', 'line', 'piped', 'spliced'] as const
  const text = [
    'defaults',
    '  mode tcp',
    '  timeout connect 5s',
    '  timeout client 60s',
    '  timeout server 60s',
  ]
  for (const port of behind.map((name) => ports[name])) {
    const options = 'send-proxy-v2 proxy-v2-options crc32c,unique-id'
    text.push(
      `listen two-${port}`,
      '  unique-id-format %[uuid()]',
      `  bind ${balancer.ipv4}:${port}`,
      `  server vip ${vip4}:${port} ${options}`,
      `listen two6-${port}`,
      `  bind [fd00::2]:${port}`,
      `  server vip [${vip6}]:${port} ${options}`,
      `listen one-${port}`,
      `  bind ${balancer.ipv4}:${port + 1000}`,
      `  server vip ${vip4}:${port} send-proxy`,
    )
  }
  const file = baton.write('haproxy.cfg', `${text.join('\n')}\n`)
  await baton
    .start('haproxy', balancer, 'haproxy', ['-db', '-f', file])
    .waitFor({ port: ports.spliced + 1000 })
}

/** Each way through the balancer, and the client that must be seen at the end of it. */
const throughs = [
  { name: 'version 2', at: (port: number) => `10.0.0.2:${port}`, client: '192.0.2.10' },
  { name: 'version 2, IPv6', at: (port: number) => `[fd00::2]:${port}`, client: '2001:db8::10' },
  { name: 'version 1', at: (port: number) => `10.0.0.2:${port + 1000}`, client: '192.0.2.10' },
] as const

const curl = (args: readonly string[]) => baton.net.client.run('curl', ['-sS', '--max-time', '20', ...args])

async function counted<T>(act: () => Promise<T>) {
  const earlier = await statusOf(baton)
  const result = await act()
  const now = await statusOf(baton)
  const grown = (before: Readonly<Record<string, number>>, after: Readonly<Record<string, number>>) =>
    Object.fromEntries(
      Object.entries(after)
        .map(([key, value]) => [key, value - (before[key] ?? 0)] as const)
        .filter(([, value]) => value > 0),
    )
  return {
    result,
    adopted: now.handoffs.adopted - earlier.handoffs.adopted,
    relays: grown(earlier.relays, now.relays),
    rejected: grown(earlier.rejected, now.rejected),
  }
}

interface Line {
  readonly listener: string
  readonly client: string
  readonly via: string | null
  readonly vip: string
  readonly host: string | null
  readonly how: string
  readonly reason: string | null
}

async function logged(wanted: (line: Line) => boolean): Promise<Line> {
  for (let round = 0; round < 200; round++) {
    const lines = readFileSync(baton.file('front-1.access.log'), 'utf8').split('\n').filter(Boolean)
    const found = lines.map((line) => JSON.parse(line) as Line).findLast(wanted)
    if (found !== undefined) return found
    await sleep(50)
  }
  return assert.fail(`the access log has no line with ${wanted} within 10 s`)
}

for (const { name, at, client } of throughs) {
  const bare = client.includes(':') ? `[${client}]` : client
  const six = client.includes(':') ? '6' : ''
  const forwarded = client.includes(':') ? `for="[${client}]"` : `for=${client}`

  describe(`behind HAProxy, ${name}`, () => {
    test('a request that is handed over: the application reads the client in X-Forwarded-For', async () => {
      const host = `${name.replace(/\W/g, '-').toLowerCase()}.example`
      const seen = await counted(() => curl(['-H', `Host: ${host}`, `http://${at(ports.http)}/`]))
      const [port, , , , xff, fwd] = seen.result.split(' ')
      assert.deepEqual([port, xff], ['8080', `"${client}"`])
      assert.ok(fwd?.startsWith(`"${forwarded}`), seen.result)
      assert.equal(seen.adopted, 1)
      assert.deepEqual(seen.relays, {})
      const line = await logged((one) => one.host === host)
      assert.equal(line.how, 'handoff')
      assert.equal(line.client.replace(/:\d+$/, ''), bare)
      assert.equal(line.via?.replace(/:\d+$/, ''), six === '' ? '10.0.0.2' : '[fd00::2]')
      assert.match(line.vip, six === '' ? /^10\.0\.0\.100:8001$/ : /^\[fd00::100\]:8001$/)
    })

    test('a request that is relayed: the same', async () => {
      const seen = await counted(() => curl(['-H', 'Host: relayed.example', `http://${at(ports.http)}/`]))
      assert.equal(seen.result.split(' ')[4], `"${client}"`)
      assert.deepEqual(seen.relays, { pool_policy: 1 })
      const line = await logged((one) => one.host === 'relayed.example' && one.client.startsWith(bare))
      assert.equal(line.how, 'relay')
      assert.equal(line.via?.replace(/:\d+$/, ''), six === '' ? '10.0.0.2' : '[fd00::2]')
    })

    test('requests on one connection for two pools: the client stays who it is', async () => {
      const url = `http://${at(ports.http)}/`
      const next = ['--next', '-sS', '--max-time', '20']
      const text = await curl([
        ...['-H', 'Host: one.example', url, ...next, '-H', 'Host: relayed.example', url],
        ...[...next, '-H', 'Host: two.example', url],
      ])
      assert.deepEqual(
        text
          .trim()
          .split('\n')
          .map((line) => line.split(' ')[4]),
        Array.from({ length: 3 }, () => `"${client}"`),
      )
    })

    test('TLS that its application terminates: the client is the peer of its socket', async () => {
      const address = at(ports.tls)
      const [, host = '', port = ''] = /^(.*):(\d+)$/.exec(address) ?? []
      const words = ['--cacert', baton.file('cert.pem'), '--resolve', `a.example:${port}:${host}`]
      const seen = await counted(() => curl([...words, `https://a.example:${port}/`]))
      assert.equal((JSON.parse(seen.result) as { client: string }).client, client)
      assert.equal(seen.adopted, 1)
    })

    test('a server that speaks first greets the client by its own address', async () => {
      const [, host = '', port = ''] = /^\[?([^\]]*)\]?:(\d+)$/.exec(at(ports.line)) ?? []
      const socket = connectFrom(baton.net.client, host, Number(port))
      const received = new Received(socket)
      await received.until(new RegExp(`^220 line-1 ${client}\r\n$`))
      socket.write('echo hello\n')
      await received.until(/\r\nhello\r\n$/)
      socket.destroy()
    })

    test('an application that wants the header gets one of its own, by handoff and by relay', async () => {
      for (const [way, adopted, relays] of [
        ['piped', 1, {}],
        ['spliced', 0, { pool_policy: 1 }],
      ] as const) {
        const seen = await counted(() => curl(['-w', '%{local_port}\n', `http://${at(ports[way])}/`]))
        const [answer = '', port = ''] = seen.result.split('\n')
        const [, , claimed, destination, xff] = answer.split(' ')
        assert.deepEqual([claimed, xff], [`${client}:${port}`, '""'], answer)
        // Where the client connected to, as the balancer saw it.
        assert.equal(
          destination?.replace(/:(\d+)$/, ' $1'),
          at(ports[way]).replace(/^\[?([^\]]*)\]?:/, '$1 '),
        )
        assert.equal(seen.adopted, adopted)
        assert.deepEqual(seen.relays, relays)
      }
    })
  })
}

describe('without a balancer in front', () => {
  test('an application that wants the header gets the client and the VIP, in version 2 and in version 1', async () => {
    for (const [vip, client] of [
      ['10.0.0.100', '192.0.2.10'],
      ['fd00::100', '2001:db8::10'],
    ] as const) {
      for (const way of ['own', 'version1'] as const) {
        const url = `http://${vip.includes(':') ? `[${vip}]` : vip}:${ports[way]}/`
        const seen = await counted(() => curl(['-w', '%{local_port}\n', url]))
        const [answer = '', port = ''] = seen.result.split('\n')
        assert.deepEqual(answer.split(' ').slice(2, 4), [`${client}:${port}`, `${vip}:${ports[way]}`])
        assert.equal(seen.adopted, 1)
      }
    }
  })

  test('curl sends a header itself', async () => {
    const seen = await counted(() => curl(['--haproxy-protocol', `http://10.0.0.100:${ports.http}/`]))
    assert.equal(seen.result.split(' ')[4], '"192.0.2.10"')
    assert.equal(seen.adopted, 1)
  })
})

/** What a listener answers to bytes from the client's host. */
async function answer(port: number, sent: Buffer | string, fin = false) {
  const socket = connectFrom(baton.net.client, baton.net.vip4, port, { allowHalfOpen: true })
  const received = new Received(socket)
  socket.on('end', () => socket.end())
  socket.write(sent)
  if (fin) socket.end()
  await received.closed
  return received
}

const request = 'GET / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n'

describe('a header', () => {
  test('that claims nothing leaves the connection its own address', async () => {
    for (const header of [
      block(0x20, 0x00),
      Buffer.from('PROXY UNKNOWN\r\n'),
      block(0x21, 0x31, Buffer.alloc(216)),
    ]) {
      const { text } = await answer(ports.http, Buffer.concat([header, Buffer.from(request)]))
      assert.match(text, /^HTTP\/1\.1 200 /)
      assert.match(text, /"192\.0\.2\.10"/)
    }
  })

  test('and the head after it may come byte by byte', async () => {
    const all = Buffer.concat([
      block(0x21, 0x11, ipv4Addresses, tlv(4, 'x'.repeat(40))),
      Buffer.from(request),
    ])
    const socket = connectFrom(baton.net.client, baton.net.vip4, ports.http)
    const received = new Received(socket)
    for (const byte of all) {
      socket.write(Buffer.from([byte]))
      await sleep(1)
    }
    await received.closed
    assert.match(received.text, /^HTTP\/1\.1 200 [\s\S]*"192\.0\.2\.1"/)
  })

  test('that is missing or bad ends the connection without a word, and is counted by its code', async () => {
    for (const port of [ports.http, ports.tls, ports.line]) {
      for (const [sent, fin, code] of [
        [request, false, 'BATON_PROXY_MISSING'],
        ['PROXY TCP4 192.0.2.1 10.0.0.100 1 x\r\n', false, 'BATON_PROXY_V1'],
        [block(0x21, 0x99), false, 'BATON_PROXY_V2'],
        ['PROXY TCP4 ', true, 'BATON_PROXY_CUT'],
      ] as const) {
        const seen = await counted(() => answer(port, sent, fin))
        assert.equal(seen.result.text, '')
        assert.equal(seen.result.over, 'reset')
        assert.deepEqual(seen.rejected, { [code]: 1 }, `port ${port}`)
        const line = await logged(({ reason }) => reason === code)
        assert.deepEqual([line.how, line.via], ['reject', null])
      }
    }
  })

  test('from somebody who may not send it is not believed', async () => {
    const seen = await counted(() => answer(8010, `PROXY TCP4 10.9.9.9 10.0.0.100 1 80\r\n${request}`))
    assert.equal(seen.result.over, 'reset')
    assert.deepEqual(seen.rejected, { BATON_PROXY_UNTRUSTED: 1 })
    const line = await logged(({ reason }) => reason === 'BATON_PROXY_UNTRUSTED')
    assert.match(line.client, /^192\.0\.2\.10:\d+$/)
  })

  test('is forgotten by nobody when the frontend is killed: the connection goes on, and its line has the client', async () => {
    const socket = connectFrom(baton.net.client, balancer.ipv4, ports.line)
    const received = new Received(socket)
    await received.until(/^220 line-1 192\.0\.2\.10\r\n/)
    const claimed = `192.0.2.10:${socket.localPort}`
    const process = baton.process('front-1')
    process.kill('SIGKILL')
    await process.exited
    socket.write('echo still here\n')
    await received.until(/still here\r\n$/)
    await startFrontend(fifth)
    socket.write('bye\n')
    await received.closed
    const line = await logged(({ client }) => client === claimed)
    assert.deepEqual(
      [line.listener, line.how, line.via?.replace(/:\d+$/, '')],
      ['line', 'handoff', '10.0.0.2'],
    )
  })
})
