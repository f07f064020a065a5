import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import http from 'node:http'
import net from 'node:net'
import { test } from 'node:test'
import { request } from 'undici'
import type { Agent } from '../../src/backend-agent/index.js'
import { readRequestHead } from '../../src/gate/index.js'
import type { Offer } from '../../src/handoff/index.js'
import { flowKey } from '../../src/kernel/flow.js'
import type { RoutesDocument } from '../../src/routing/index.js'
import { httpServer, listen } from '../relay/servers.js'
import { Client, settle } from './session-harness.js'
import { Front, type FrontOptions, output, Stage, vip4, vip6 } from './stage.js'

const stage = new Stage('btagt')

const get = (path: string, fields = '') => `GET ${path} HTTP/1.1\r\nHost: a.example\r\n${fields}\r\n`

/** A client whose first request has been handed over to the agent. */
async function handedOver(
  agent: Agent,
  first: string,
  options: FrontOptions = {},
  version: 4 | 6 = 4,
  changes: Partial<Offer> = {},
) {
  stage.steer('front')
  const front = new Front(stage, agent, options)
  await front.up()
  const client = new Client(stage.connect(front.port, version))
  client.send(first)
  const settlement = await front.handOver(await front.arrival(), changes)
  return { client, front, settlement }
}

test('http: the answer comes from the application behind the agent, to the true client', async () => {
  const seen: http.IncomingMessage[] = []
  const app = await httpServer((incoming, response) => {
    seen.push(incoming)
    response.end(`own ${incoming.url}.`)
  })
  const agent = await stage.agent({ deliver: { kind: 'http', address: app } })
  const { client, front, settlement } = await handedOver(agent, get('/1'))
  assert.deepEqual(settlement, { kind: 'adopted' })
  const port = client.socket.localPort ?? 0
  assert.match(await client.heard('.'), /^HTTP\/1\.1 200 OK\r\n[\s\S]*own \/1\.$/)
  assert.equal(seen[0]?.headers['x-forwarded-for'], '10.5.0.1')
  client.send(get('/2', 'Connection: close\r\n'))
  assert.match(await client.heard('/2.'), /own \/2\.$/)
  client.socket.end()
  assert.equal(await client.end(), 'fin')
  await settle(() => front.closed.length === 1)
  const [closed] = front.closed
  assert.ok(closed)
  assert.equal(closed.requests, 2)
  assert.equal(closed.status, 200)
  assert.equal(closed.cause, 'backend')
  assert.equal(closed.bytesIn, get('/1').length + get('/2', 'Connection: close\r\n').length)
  assert.ok(closed.bytesOut > 200)
  assert.equal(closed.context.toString(), 'notes')
  const flow = flowKey({
    client: { address: '10.5.0.1', port },
    vip: { address: vip4, port: front.port },
  })
  assert.deepEqual(closed.flow, flow)
  assert.equal(agent.stats.active, 0)
  assert.equal(agent.stats.adopted, 1)
  await agent.close()
})

test('http over IPv6, and a client that closes its side after the request still gets the answer', async () => {
  const app = await httpServer((_incoming, response) => {
    setTimeout(() => response.end('late.'), 100)
  })
  const agent = await stage.agent({ deliver: { kind: 'http', address: app } })
  const { client, front } = await handedOver(agent, get('/'), {}, 6)
  client.socket.end()
  assert.match(await client.heard('late.'), /late\.$/)
  assert.equal(await client.end(), 'fin')
  await settle(() => front.closed.length === 1)
  assert.equal(front.closed[0]?.cause, 'client')
  await agent.close()
})

test('inline: a chunked upload goes on after the adoption, byte for byte', async () => {
  const server = http.createServer((incoming, response) => {
    const sum = createHash('sha256')
    incoming.on('data', (chunk) => sum.update(chunk))
    incoming.on('end', () => response.end(`${sum.digest('hex')}.`))
  })
  const agent = await stage.agent({ server })
  const body = randomBytes(2 << 20)
  const half = body.length / 2
  const chunk = (bytes: Buffer) => `${bytes.length.toString(16)}\r\n${bytes.toString('latin1')}\r\n`
  const head = 'POST /up HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n'
  stage.steer('front')
  const front = new Front(stage, agent)
  await front.up()
  const client = new Client(stage.connect(front.port))
  client.socket.write(head + chunk(body.subarray(0, half)), 'latin1')
  const settlement = await front.handOver(await front.arrival())
  assert.equal(settlement.kind, 'adopted')
  client.socket.write(`${chunk(body.subarray(half))}0\r\n\r\n`, 'latin1')
  const sum = createHash('sha256').update(body).digest('hex')
  assert.match(await client.heard(`${sum}.`), /^HTTP\/1\.1 200 OK/)
  client.socket.destroy()
  await agent.close()
})

test('inline: a net.Server gets the socket as it is', async () => {
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    assert.equal(socket.remoteAddress, '10.5.0.1')
    assert.equal(socket.localAddress, vip4)
    socket.on('data', (chunk) => socket.write(`<${chunk}>`))
    socket.on('end', () => socket.end('bye'))
  })
  const agent = await stage.agent({ server })
  const { client, front } = await handedOver(agent, get('/'))
  assert.equal(await client.heard('>'), `<${get('/')}>`)
  client.socket.end('x')
  assert.equal(await client.heard('bye'), '<x>bye')
  await settle(() => front.closed.length === 1)
  assert.equal(front.closed[0]?.cause, 'client')
  assert.equal(front.closed[0]?.requests, 0)
  await agent.close()
})

test('tcp: bytes both ways with a half-close each way, and a refusal when the application is away', async () => {
  const app = net.createServer({ allowHalfOpen: true }, (socket) => {
    let text = ''
    socket.on('data', (chunk) => {
      text += chunk
    })
    socket.on('end', () => socket.end(`heard ${text.length}`))
  })
  const address = await listen(app)
  const agent = await stage.agent({ deliver: { kind: 'tcp', address } })
  const { client, front } = await handedOver(agent, get('/'))
  client.socket.end('and more')
  assert.equal(await client.heard('heard'), `heard ${get('/').length + 8}`)
  assert.equal(await client.end(), 'fin')
  await settle(() => front.closed.length === 1)
  assert.equal(front.closed[0]?.cause, 'client')
  app.close()
  await settle(() => !app.listening)
  const again = await handedOver(agent, get('/'))
  assert.equal(again.settlement.kind === 'refused' && again.settlement.code, 'BATON_AGENT_APPLICATION')
  assert.equal(agent.stats.refused.BATON_AGENT_APPLICATION, 1)
  await agent.close()
})

const claimed = flowKey({
  client: { address: '2001:db8::7', port: 50_000 },
  vip: { address: '2001:db8::80', port: 443 },
})

test('a client whom a balancer names: an inline application sees it as the peer of its socket', async () => {
  const seen: unknown[] = []
  const server = net.createServer((socket) => {
    const tell = () => seen.push([socket.remoteAddress, socket.remotePort, socket.remoteFamily])
    tell()
    assert.equal(socket.localAddress, vip4)
    socket.once('close', tell)
    socket.resume().end('bye')
  })
  const agent = await stage.agent({ server })
  const { client, front } = await handedOver(agent, get('/'), {}, 4, { claimed })
  await client.heard('bye')
  client.socket.end()
  await settle(() => front.closed.length === 1)
  assert.deepEqual(seen, [
    ['2001:db8::7', 50_000, 'IPv6'],
    ['2001:db8::7', 50_000, 'IPv6'],
  ])
  await agent.close()
})

test('a client whom a balancer names: http forwards it, and gives it back with the connection', async () => {
  const seen: http.IncomingHttpHeaders[] = []
  const app = await httpServer((incoming, response) => {
    seen.push(incoming.headers)
    response.end('own.')
  })
  const agent = await stage.agent({ deliver: { kind: 'http', address: app } })
  const { client, front } = await handedOver(agent, get('/1'), { routes: shared([]) }, 4, { claimed })
  await client.heard('own.')
  assert.equal(seen[0]?.['x-forwarded-for'], '2001:db8::7')
  assert.match(seen[0]?.forwarded ?? '', /^for="\[2001:db8::7\]";/)
  client.send(get('/other/2'))
  await settle(() => front.returned.length === 1)
  assert.deepEqual(front.returned[0]?.offer.claimed, claimed)
  new net.Socket({ fd: front.returned[0]!.fd }).destroy()
  await agent.close()
})

for (const [proxyProtocol, hers, theirs] of [
  [
    'v1',
    /^PROXY TCP4 10\.5\.0\.1 10\.\S+ \d+ \d+\r\nGET /,
    /^PROXY TCP6 2001:db8::7 2001:db8::80 50000 443\r\nGET /,
  ],
  // In hex: signature, PROXY, TCP over IPv4 or IPv6, length, addresses and ports, GET.
  [
    'v2',
    /^0d0a0d0a000d0a515549540a2111000c0a0500010a[0-9a-f]{14}474554/,
    /^0d0a0d0a000d0a515549540a2121002420010db8(?:0{22}07)20010db8(?:0{22}80)c35001bb474554/,
  ],
] as const) {
  test(`tcp with proxyProtocol ${proxyProtocol}: the application hears the client's address, or the claimed one`, async () => {
    const heard: string[] = []
    const app = net.createServer((socket) => {
      let text = ''
      socket.on('data', (chunk) => {
        text += chunk.toString('latin1')
        if (!text.endsWith('\r\n\r\n') || !text.includes('GET')) return
        heard.push(proxyProtocol === 'v1' ? text : Buffer.from(text, 'latin1').toString('hex'))
        socket.end('heard.')
      })
    })
    const address = await listen(app)
    const agent = await stage.agent({ deliver: { kind: 'tcp', address, proxyProtocol } })
    for (const [id, changes] of [
      ['front-1', {}],
      ['front-2', { claimed }],
    ] as const) {
      const { client, front } = await handedOver(agent, get('/'), { id }, 4, changes)
      await client.heard('heard.')
      client.socket.end()
      await settle(() => front.closed.length === 1)
      // What the client sent, and not what it was announced with.
      assert.equal(front.closed[0]?.bytesIn, get('/').length)
    }
    assert.match(heard[0] ?? '', hers)
    assert.match(heard[1] ?? '', theirs)
    app.close()
    await agent.close()
  })
}

test('offers are refused with a reason: another pool, too many connections', async () => {
  const server = http.createServer((_incoming, response) => response.end('own.'))
  const agent = await stage.agent({ server, limits: { maxConnections: 1 } })
  const { client, front } = await handedOver(agent, get('/1'))
  await client.heard('own.')
  await settle(() => front.link.channel?.capacity === 0)
  stage.steer('front')
  const other = new Client(stage.connect(front.port))
  other.send(get('/2'))
  const arrival = await front.arrival()
  stage.steer('back')
  client.socket.destroy()
  await settle(() => front.link.channel?.capacity === 1)
  const refused = await front.handOver(arrival, { pool: 'unknown' })
  assert.equal(refused.kind === 'refused' && refused.code, 'BATON_AGENT_POOL')
  await agent.close()
})

/** /other/ belongs to a pool elsewhere. */
const shared = (addresses: readonly string[]): RoutesDocument => ({
  version: 1,
  routes: [
    { match: { path: { prefix: '/other/' } }, pool: 'other' },
    { match: {}, pool: 'own' },
  ],
  pools: { other: { addresses: [...addresses] } },
})

test('a request of another pool takes the connection back to the frontend, its bytes unread', async () => {
  const app = await httpServer((incoming, response) => response.end(`own ${incoming.url}.`))
  const agent = await stage.agent({ deliver: { kind: 'http', address: app } })
  const { client, front } = await handedOver(agent, get('/1'), { routes: shared([]) })
  await client.heard('.')
  client.send(get('/2'))
  await client.heard('own /2.')
  client.send(get('/other/3'))
  await settle(() => front.returned.length === 1)
  const [back] = front.returned
  assert.ok(back)
  assert.equal(front.parks.length, 1)
  assert.equal(back.offer.pool, 'other')
  const { queue } = back.offer.snapshot.receive
  assert.equal(queue.toString(), get('/other/3'))
  assert.equal(readRequestHead(queue, queue.length, 16384).kind, 'head')
  // It lives on at the frontend, which answers here in place of the other pool's agent.
  const socket = new net.Socket({ fd: back.fd, readable: true, writable: true })
  assert.equal(
    (await new Promise<Buffer>((resolve) => socket.once('data', resolve))).toString(),
    get('/other/3'),
  )
  socket.write('HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nother.')
  assert.match(await client.heard('other.'), /other\.$/)
  assert.equal(client.ended, false)
  await settle(() => front.closed.length === 1)
  assert.equal(front.closed[0]?.cause, 'moved')
  assert.equal(front.closed[0]?.requests, 2)
  assert.equal(front.closed[0]?.bytesIn, get('/1').length + get('/2').length)
  assert.equal(agent.stats.active, 0)
  assert.deepEqual(agent.stats.returns, { moved: 1 })
  socket.destroy()
  await agent.close()
})

for (const [why, options] of [
  ['the frontend does not park', { parks: false }],
  ['the frontend refuses', { returns: 'refuse' }],
] as const) {
  test(`a request of another pool is relayed when ${why}`, async () => {
    const app = await httpServer((incoming, response) => response.end(`own ${incoming.url}.`))
    const other = await httpServer((incoming, response) => response.end(`other ${incoming.url}.`))
    const agent = await stage.agent({ deliver: { kind: 'http', address: app } })
    const { client, front } = await handedOver(agent, get('/1'), { routes: shared([other]), ...options })
    await client.heard('own /1.')
    client.send(get('/other/2'))
    assert.match(await client.heard('other /other/2.'), /^HTTP\/1\.1 200 OK/)
    client.send(get('/3'))
    await client.heard('own /3.')
    client.send(get('/other/4'))
    await client.heard('other /other/4.')
    assert.equal(front.parks.length, 2)
    assert.deepEqual(agent.stats.returns, { kept: 2 })
    assert.deepEqual(agent.stats.misplaced, { relayed: 2 })
    client.socket.destroy()
    await agent.close()
  })
}

test('with nowhere to relay to, a misplaced request gets 421 and never an answer of the wrong pool', async () => {
  const server = http.createServer((_incoming, response) => response.end('own.'))
  const agent = await stage.agent({ server })
  const { client } = await handedOver(agent, get('/1') + get('/other/2'), { routes: shared([]) })
  const text = await client.heard('421')
  assert.match(text, /own\.HTTP\/1\.1 421 Misdirected Request\r\n/)
  assert.equal(text.split('own.').length, 2)
  assert.equal(await client.end(), 'fin')
  client.socket.destroy()
  await agent.close()
})

test('CLOSED waits for a frontend that is away', async () => {
  const server = http.createServer((_incoming, response) => response.end('own.'))
  const agent = await stage.agent({ server })
  const { client, front } = await handedOver(agent, get('/1'))
  await client.heard('own.')
  front.link.channel?.destroy()
  client.socket.destroy()
  await settle(() => agent.stats.active === 0)
  await settle(() => front.closed.length === 1)
  assert.equal(front.closed[0]?.requests, 1)
  await agent.close()
})

test('a port that is used again is not kept out by its last connection in TIME_WAIT, even one without timestamps', async () => {
  const app = await httpServer((_incoming, response) => response.end('own.'))
  const agent = await stage.agent({ deliver: { kind: 'http', address: app } })
  const front = new Front(stage, agent)
  await front.up()
  stage.client.setSysctls({ 'net.ipv4.tcp_timestamps': 0 })
  for (let round = 1; round <= 3; round++) {
    stage.steer('front')
    const client = new Client(stage.connect(front.port, 4, 45_001))
    client.send(get('/', 'Connection: close\r\n'))
    assert.deepEqual(await front.handOver(await front.arrival()), { kind: 'adopted' }, `round ${round}`)
    await client.heard('own.')
    client.socket.end()
    assert.equal(await client.end(), 'fin')
    await settle(() => front.closed.length === round)
    const left = await stage.back.sockets('dport = :45001')
    assert.deepEqual(
      left.map(({ state }) => state),
      ['TIME-WAIT'],
    )
  }
  stage.client.setSysctls({ 'net.ipv4.tcp_timestamps': 1 })
  await agent.close()
})

test('close() lets the answer end, refuses what comes, and then everything is gone', async () => {
  let finish: (() => void) | undefined
  const server = http.createServer((_incoming, response) => {
    response.write('half ')
    finish = () => response.end('whole.')
  })
  const agent = await stage.agent({ server })
  const { client, front } = await handedOver(agent, get('/1'))
  await client.heard('half')
  assert.match(output('ip', '-o', 'addr', 'show', 'dev', 'lo'), new RegExp(vip4.replaceAll('.', '\\.')))
  stage.steer('front')
  const late = new Client(stage.connect(front.port))
  late.send(get('/2'))
  const arrival = await front.arrival()
  stage.steer('back')
  const closing = agent.close()
  assert.equal(agent.stats.state, 'draining')
  await settle(() => front.link.channel?.capacity === 0)
  await assert.rejects(front.handOver(arrival), { code: 'BATON_HANDOFF_BUSY' })
  finish?.()
  await client.heard('whole.')
  client.socket.end()
  await closing
  assert.equal(agent.stats.state, 'stopped')
  const addresses = output('ip', '-o', 'addr', 'show', 'dev', 'lo')
  assert.doesNotMatch(addresses, new RegExp(`${vip4.replaceAll('.', '\\.')}|${vip6}`))
})

test('close() answers an offer that was on its way before the frontend knew', async () => {
  const agent = await stage.agent({
    server: http.createServer((_incoming, response) => response.end('own.')),
  })
  stage.steer('front')
  const front = new Front(stage, agent)
  const channel = await front.up()
  const client = new Client(stage.connect(front.port))
  client.send(get('/'))
  const arrival = await front.arrival()
  const closing = agent.close()
  assert.ok(channel.capacity > 0)
  const settlement = await front.handOver(arrival)
  assert.equal(settlement.kind === 'refused' && settlement.code, 'BATON_HANDOFF_BUSY')
  const served = new net.Socket({ fd: arrival.fd, readable: true, writable: true })
  served.end('still here.')
  assert.match(await client.heard('here.'), /still here\.$/)
  client.socket.end()
  await closing
})

test('destroy() cuts an answer in its midst by RST, so that it cannot pass for a whole one', async () => {
  const server = http.createServer((_incoming, response) => response.write('half '))
  const agent = await stage.agent({ server })
  const { client } = await handedOver(agent, get('/1'))
  await client.heard('half')
  await agent.destroy()
  assert.equal(await client.end(), 'ECONNRESET')
})

test('the admin server tells health, readiness, metrics and status', async () => {
  const server = http.createServer((_incoming, response) => response.end('own.'))
  const agent = await stage.agent({ server })
  const { client } = await handedOver(agent, get('/1'), { routes: shared([]) })
  await client.heard('own.')
  const base = `http://127.0.0.1:${agent.adminAddress?.port}`
  const fetchText = async (path: string) => {
    const answer = await request(`${base}${path}`)
    return { status: answer.statusCode, text: await answer.body.text() }
  }
  assert.equal((await fetchText('/healthz')).status, 200)
  assert.equal((await fetchText('/readyz')).status, 200)
  assert.match((await fetchText('/metrics')).text, /baton_agent_adopted_total 1\n/)
  const status = JSON.parse((await fetchText('/v1/status')).text)
  assert.equal(status.role, 'agent')
  assert.equal(status.active, 1)
  assert.deepEqual(
    status.channels.map(({ frontend, up, routesVersion }: Record<string, unknown>) => [
      frontend,
      up,
      routesVersion,
    ]),
    [['front-1', true, 1]],
  )
  assert.deepEqual(status.steerTo, { ipv4: '10.2.0.2', ipv6: 'fd02::2' })
  client.socket.destroy()
  await agent.close()
})

test('options with a mistake are refused with every mistake named', async () => {
  const wrong = { id: 'x y', pools: [], vips: [vip4], control: { address: 'nowhere', tokenFile: '/none' } }
  await assert.rejects(stage.agent(wrong), (error: NodeJS.ErrnoException) => {
    assert.equal(error.code, 'BATON_CONFIG_INVALID')
    for (const part of ['id', 'pools', 'control.address']) assert.match(error.message, new RegExp(part))
    return true
  })
})
