import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { writeSync } from 'node:fs'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import net from 'node:net'
import { after, test } from 'node:test'
import type { Agent } from '../../src/backend-agent/index.js'
import { Client, settle } from './session-harness.js'
import { Front, output, Stage } from './stage.js'

const stage = new Stage('btadt')

const get = (path: string, fields = '') => `GET ${path} HTTP/1.1\r\nHost: a.example\r\n${fields}\r\n`
const last = 'Connection: close\r\n'

const adopting = (port: number, loopback = '127.0.0.1') =>
  ({
    id: `btadt-${port}`,
    deliver: {
      kind: 'adopt',
      address: loopback.includes(':') ? `[${loopback}]:${port}` : `${loopback}:${port}`,
      session: 'connection',
    },
  }) as const

/** Listens on every address of the back host. @returns its port, which is not the VIP's */
async function onEvery(server: net.Server, backlog?: number): Promise<number> {
  await new Promise<void>((resolve) => server.listen({ port: 0, host: '::', backlog }, resolve))
  after(() => server.close())
  return (server.address() as AddressInfo).port
}

async function frontOf(agent: Agent): Promise<Front> {
  stage.steer('front')
  const front = new Front(stage, agent)
  await front.up()
  return front
}

async function offered(front: Front, first: string, version: 4 | 6 = 4) {
  stage.steer('front')
  const client = new Client(stage.connect(front.port, version))
  client.send(first)
  const settlement = await front.handOver(await front.arrival())
  return { client, settlement }
}

/** Sockets that the kernel of the back host has of a client's connection. */
function socketsOf(client: Client): string {
  return output('ss', '-Htan', 'sport', '!=', '0', 'dport', '=', String(client.socket.localPort)).trim()
}

for (const version of [4, 6] as const) {
  test(`IPv${version}: a server that knows nothing accepts the client's own connection, and keeps it`, async () => {
    const seen: (string | number | undefined)[][] = []
    const port = await onEvery(
      http.createServer((incoming, response) => {
        const { remoteAddress, remotePort, localPort } = incoming.socket
        seen.push([remoteAddress, remotePort, localPort])
        response.end(`own ${incoming.url}.`)
      }),
    )
    const agent = await stage.agent(adopting(port, version === 4 ? '127.0.0.1' : '::1'))
    const front = await frontOf(agent)
    const { client, settlement } = await offered(front, get('/1'), version)
    const own = client.socket.localPort
    assert.deepEqual(settlement, { kind: 'adopted' })
    assert.match(await client.heard('.'), /own \/1\.$/)
    assert.equal(agent.stats.active, 1)
    client.send(get('/2', last))
    assert.match(await client.heard('/2.'), /own \/2\.$/)
    client.socket.end()
    assert.equal(await client.end(), 'fin')
    await settle(() => front.closed.length === 1)
    const [closed] = front.closed
    assert.equal(closed?.bytesIn, get('/1').length + get('/2', last).length)
    assert.equal(closed?.bytesOut, client.socket.bytesRead)
    assert.equal(closed?.cause, 'backend')
    assert.equal(closed?.context.toString(), 'notes')
    const remote = version === 4 ? '::ffff:10.5.0.1' : 'fd05::1'
    // The port is the one that the client connected to, though the server listens on another.
    assert.deepEqual(seen, [
      [remote, own, front.port],
      [remote, own, front.port],
    ])
    assert.equal(agent.stats.active, 0)
    await agent.close()
  })
}

test('no listener: REFUSED, and the connection goes on where it was', async () => {
  const agent = await stage.agent(adopting(1))
  const front = await frontOf(agent)
  stage.steer('front')
  const client = new Client(stage.connect(front.port))
  client.send(get('/'))
  const arrival = await front.arrival()
  const settlement = await front.handOver(arrival)
  assert.equal(settlement.kind, 'refused')
  assert.equal(settlement.kind === 'refused' && settlement.code, 'BATON_ADOPT_NO_LISTENER')
  assert.equal(socketsOf(client), '')
  const served = new net.Socket({ fd: arrival.fd, readable: true, writable: true })
  served.end('still here.')
  assert.match(await client.heard('here.'), /still here\.$/)
  client.socket.end()
  await agent.close()
})

test('a full accept queue: REFUSED', async () => {
  // A process that listens and never accepts.
  const script = `import socket,time
s=socket.socket(); s.bind(('0.0.0.0',0)); s.listen(0); print(s.getsockname()[1],flush=True); time.sleep(60)`
  let said = ''
  stage.back.spawn('python3', ['-c', script], {
    onOutput(text) {
      said += text
    },
  })
  await settle(() => said.includes('\n'))
  const agent = await stage.agent(adopting(Number(said)))
  const front = await frontOf(agent)
  const outcomes: string[] = []
  for (let index = 0; index < 3; index++) {
    const { settlement } = await offered(front, get(`/${index}`))
    outcomes.push(settlement.kind === 'refused' ? settlement.code : settlement.kind)
  }
  assert.deepEqual(outcomes, ['adopted', 'BATON_ADOPT_QUEUE_FULL', 'BATON_ADOPT_QUEUE_FULL'])
  assert.equal(agent.stats.active, 1)
  await agent.destroy()
})

test('what the kernel will not adopt is refused, and the reason is named', async () => {
  const script = `import socket,time
s=socket.socket(socket.AF_INET,socket.SOCK_STREAM,262); s.bind(('127.0.0.1',0)); s.listen(8)
print(s.getsockname()[1],flush=True); time.sleep(60)`
  let said = ''
  const mptcp = stage.back.spawn('python3', ['-c', script], {
    onOutput(text) {
      said += text
    },
  })
  await settle(() => said.includes('\n'))
  const reason = async (port: number) => {
    const agent = await stage.agent(adopting(port))
    const { client, settlement } = await offered(await frontOf(agent), get('/'))
    client.socket.destroy()
    await agent.close()
    return settlement.kind === 'refused' ? `${settlement.code} ${settlement.message}` : settlement.kind
  }
  assert.match(await reason(Number(said)), /^BATON_ADOPT_REFUSED .*listens with MPTCP/)
  mptcp.kill('SIGKILL')
  const port = await onEvery(http.createServer())
  stage.back.setSysctls({ 'net.ipv4.tcp_timestamps': 0, 'net.ipv4.tcp_sack': 0 })
  const off = await reason(port)
  stage.back.setSysctls({ 'net.ipv4.tcp_timestamps': 1, 'net.ipv4.tcp_sack': 1 })
  assert.match(off, /^BATON_ADOPT_REFUSED .*off here: net\.ipv4\.tcp_sack, net\.ipv4\.tcp_timestamps/)
})

test('a setting that would have the kernel answer with a reset is met at the very offer: REFUSED, and back again', async () => {
  const port = await onEvery(http.createServer((_incoming, response) => response.end('served.')))
  const agent = await stage.agent(adopting(port))
  const front = await frontOf(agent)
  const outcomes: string[] = []
  const resets = stage.back.snmp()['Tcp.OutRsts']
  for (const setting of [1, 0, 2]) {
    stage.back.setSysctls({ 'net.ipv4.tcp_syncookies': setting })
    const { client, settlement } = await offered(front, get('/', last))
    outcomes.push(settlement.kind === 'refused' ? settlement.code : settlement.kind)
    client.socket.destroy()
  }
  stage.back.setSysctls({ 'net.ipv4.tcp_syncookies': 1 })
  assert.deepEqual(outcomes, ['adopted', 'BATON_ADOPT_UNAVAILABLE', 'adopted'])
  assert.equal(stage.back.snmp()['Tcp.OutRsts'], resets)
  await agent.close()
})

/** A connection with bytes to the client that it has not acknowledged, and cannot until `unplug` is called. */
async function withPendingOutput(front: Front) {
  stage.steer('front')
  const client = new Client(stage.connect(front.port))
  client.send(get('/pending', last))
  const arrival = await front.arrival()
  await stage.front.run('nft', ['-f', '-'], {
    input: 'table inet plug { chain in { type filter hook input priority 0; ip saddr 10.5.0.1 drop; }; }',
  })
  writeSync(arrival.fd, 'early.')
  const settlement = await front.handOver(arrival)
  await stage.front.run('nft', ['delete', 'table', 'inet', 'plug'])
  return { client, settlement }
}

test('bytes that the client has not acknowledged: the fallback serves, or the offer is refused', async () => {
  const port = await onEvery(http.createServer((_incoming, response) => response.end('served.')))
  const plain = await stage.agent(adopting(port))
  const refused = await withPendingOutput(await frontOf(plain))
  assert.equal(refused.settlement.kind === 'refused' && refused.settlement.code, 'BATON_ADOPT_UNFIT')
  await plain.close()
  const fallback = { kind: 'tcp', address: `127.0.0.1:${port}` } as const
  const agent = await stage.agent({ deliver: { ...adopting(port).deliver, fallback } })
  const { client, settlement } = await withPendingOutput(await frontOf(agent))
  assert.deepEqual(settlement, { kind: 'adopted' })
  assert.deepEqual(agent.stats.fallback, { BATON_ADOPT_UNFIT: 1 })
  assert.match(await client.heard('served.'), /^early\.HTTP\/1\.1 200 OK[\s\S]*served\.$/)
  client.socket.end()
  await client.end()
  await settle(() => agent.stats.active === 0)
  await agent.close()
})

for (const bytes of [1, 1 << 20]) {
  test(`an upload of ${bytes} unread bytes is played into the application, byte for byte`, async () => {
    const body = randomBytes(bytes)
    const port = await onEvery(
      http.createServer((incoming, response) => {
        const hash = createHash('sha256')
        incoming.on('data', (chunk: Buffer) => hash.update(chunk))
        incoming.on('end', () => response.end(`${hash.digest('hex')}.`))
      }),
    )
    const agent = await stage.agent(adopting(port))
    stage.front.setSysctls({ 'net.ipv4.tcp_rmem': '4096 4194304 8388608' })
    const front = await frontOf(agent)
    const client = new Client(stage.connect(front.port))
    client.send(`POST / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\nContent-Length: ${bytes}\r\n\r\n`)
    client.socket.write(body)
    const arrival = await front.arrival()
    await settle(() => client.socket.writableLength === 0 && unacknowledged(client) === 0)
    assert.deepEqual(await front.handOver(arrival), { kind: 'adopted' })
    const sha256 = createHash('sha256').update(body).digest('hex')
    assert.ok((await client.heard('.', 2)).includes(`${sha256}.`))
    client.socket.end()
    await client.end()
    await settle(() => front.closed.length === 1)
    await agent.close()
  })
}

/** Bytes in the send queue of the client's kernel. */
function unacknowledged(client: Client): number {
  const filter = ['sport', '=', String(client.socket.localPort)]
  const line = output('nsenter', `--net=${stage.client.path}`, 'ss', '-Htn', ...filter)
  return Number(line.trim().split(/\s+/)[2])
}

test('an agent that is gone leaves what it adopted alone; the next one tells of the end', async () => {
  const port = await onEvery(http.createServer((incoming, response) => response.end(`own ${incoming.url}.`)))
  const first = await stage.agent(adopting(port))
  const front = await frontOf(first)
  const { client } = await offered(front, get('/1'))
  await client.heard('/1.')
  await first.destroy()
  const second = await stage.agent(adopting(port))
  assert.equal(second.stats.active, 1)
  client.send(get('/2', last))
  await client.heard('/2.')
  client.socket.end()
  await client.end()
  await settle(() => second.stats.active === 0)
  const again = new Front(stage, second)
  await again.up()
  await settle(() => again.closed.length === 1)
  assert.equal(again.closed[0]?.bytesOut, client.socket.bytesRead)
  assert.equal(again.closed[0]?.context.toString(), 'notes')
  await second.close()
})

test('a kernel that cannot adopt: the fallback serves everything; without one the agent says why it does not start', async () => {
  stage.back.setSysctls({ 'net.ipv4.tcp_syncookies': 0 })
  const port = await onEvery(http.createServer((_incoming, response) => response.end('served.')))
  await assert.rejects(stage.agent(adopting(port)), { code: 'BATON_ADOPT_UNAVAILABLE' })
  const fallback = { kind: 'http', address: `127.0.0.1:${port}` } as const
  const agent = await stage.agent({ deliver: { ...adopting(port).deliver, fallback } })
  assert.equal(agent.stats.deliver, 'http')
  const { client, settlement } = await offered(await frontOf(agent), get('/', last))
  assert.deepEqual(settlement, { kind: 'adopted' })
  assert.match(await client.heard('served.'), /served\.$/)
  stage.back.setSysctls({ 'net.ipv4.tcp_syncookies': 1 })
  client.socket.end()
  await agent.close()
})
