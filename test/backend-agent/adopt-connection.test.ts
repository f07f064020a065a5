import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import net, { type AddressInfo } from 'node:net'
import { after, test } from 'node:test'
import type { Agent } from '../../src/backend-agent/index.js'
import type { RequestHead } from '../../src/gate/index.js'
import { flowKey } from '../../src/kernel/flow.js'
import { freeze, type Snapshot, thaw } from '../../src/repair/index.js'
import { Client, settle } from './session-harness.js'
import { Front, Stage, vip4, vip6 } from './stage.js'

const stage = new Stage('btadc')
const request = 'GET / HTTP/1.1\r\nHost: a.example\r\n\r\n'

/** A server of plain bytes on the back host, and the sockets that it has accepted. */
async function application(
  onSocket: (socket: net.Socket) => void = () => undefined,
  host = '::',
  port = 0,
): Promise<{ readonly port: number; readonly sockets: net.Socket[]; close(): void }> {
  const sockets: net.Socket[] = []
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    sockets.push(socket)
    socket.on('error', () => undefined)
    onSocket(socket)
  })
  await new Promise<void>((resolve) => server.listen({ port, host }, resolve))
  const close = () => {
    for (const socket of sockets) socket.destroy()
    server.close()
  }
  after(close)
  return { port: (server.address() as AddressInfo).port, sockets, close }
}

let agents = 0

async function adoptingAt(address: string): Promise<{ readonly agent: Agent; readonly front: Front }> {
  const agent = await stage.agent({
    id: `btadc-${agents++}`,
    deliver: { kind: 'adopt', address, session: 'connection' },
  })
  stage.steer('front')
  const front = new Front(stage, agent)
  await front.up()
  return { agent, front }
}

/** A connection whose first bytes are `first`, handed over. */
async function handedOver(front: Front, first: string, version: 4 | 6 = 4, localPort = 0) {
  stage.steer('front')
  const client = new Client(stage.connect(front.port, version, localPort))
  client.send(first)
  const settlement = await front.handOver(await front.arrival())
  return { client, settlement }
}

const adopted = { kind: 'adopted' } as const

/** What the kernel knows of a connection that this process has accepted. */
function inspect(socket: net.Socket): Snapshot {
  const { remoteAddress = '', remotePort = 0, localAddress = '', localPort = 0 } = socket
  const plain = (address: string) => address.replace('::ffff:', '')
  const flow = flowKey({
    client: { address: plain(remoteAddress), port: remotePort },
    vip: { address: plain(localAddress), port: localPort },
  })
  const { fd } = (socket as net.Socket & { _handle: { fd: number } })._handle
  const snapshot = freeze(fd, flow)
  thaw(fd)
  return snapshot
}

const names = ['tcp_window_scaling', 'tcp_sack', 'tcp_timestamps']

test('the options of the connection go on, each on and off, over IPv4 and IPv6', async () => {
  const app = await application((socket) => socket.pipe(socket))
  const { agent, front } = await adoptingAt(`0.0.0.0:${app.port}`)
  for (const version of [4, 6] as const) {
    for (let bits = 0; bits < 8; bits++) {
      stage.client.setSysctls(
        Object.fromEntries(names.map((name, index) => [`net.ipv4.${name}`, (bits >> index) & 1])),
      )
      const { client, settlement } = await handedOver(front, request, version)
      const what = `IPv${version}, options ${bits}`
      assert.deepEqual(settlement, adopted, what)
      await client.heard(request)
      const offered = front.offers.at(-1)?.snapshot
      const child = inspect(app.sockets.at(-1) as net.Socket)
      assert.deepEqual(
        [offered?.options.windowScale !== null, offered?.options.sack, offered?.options.timestamps !== null],
        [0, 1, 2].map((index) => ((bits >> index) & 1) === 1),
        what,
      )
      const comparable = ({ options, mss }: Snapshot) => ({
        ...options,
        timestamps: options.timestamps?.microseconds,
        mss,
      })
      assert.deepEqual(comparable(child), offered && comparable(offered), what)
      // Enough that the windows and what was promised in them count.
      const bulk = randomBytes(300_000).toString('latin1')
      client.socket.write(bulk, 'latin1')
      await settle(() => client.text.length === bulk.length)
      assert.ok(client.text === bulk, what)
      client.socket.end()
    }
  }
  stage.client.setSysctls(Object.fromEntries(names.map((name) => [`net.ipv4.${name}`, 1])))
  app.close()
  await settle(() => front.closed.length === 16)
  await agent.close()
})

test('a clock of microseconds goes on as one', async () => {
  const app = await application((socket) => socket.pipe(socket))
  const { agent, front } = await adoptingAt(`127.0.0.1:${app.port}`)
  const client = new Client(stage.connect(front.port))
  client.send(request)
  const arrival = await front.arrival()
  const { options } = freeze(arrival.fd, arrival.flow)
  thaw(arrival.fd)
  assert.ok(options.timestamps)
  const snapshot = freeze(arrival.fd, arrival.flow)
  thaw(arrival.fd)
  // As a listener would have it whose route says so (features tcp_usec_ts).
  const timestamps = { value: options.timestamps.value, microseconds: true }
  const offered = { ...snapshot, options: { ...options, timestamps } }
  assert.deepEqual(await front.handOver(arrival, { snapshot: offered }), adopted)
  await client.heard(request)
  const clock = () => inspect(app.sockets[0] as net.Socket).options.timestamps
  const before = clock()
  await new Promise((resolve) => setTimeout(resolve, 20))
  const now = clock()
  assert.deepEqual([before?.microseconds, now?.microseconds], [true, true])
  // A clock of milliseconds would have gone on by 20; a timer may come a little early.
  assert.ok((now?.value ?? 0) - (before?.value ?? 0) >= 10_000)
  client.send('more.')
  await client.heard('more.')
  client.socket.end()
  app.close()
  await agent.close()
})

test('segments to the client are as short as it asked', async () => {
  const app = await application((socket) => {
    socket.resume()
    socket.write(randomBytes(100_000))
    socket.once('end', () => socket.end())
  })
  const { agent, front } = await adoptingAt(`127.0.0.1:${app.port}`)
  for (const [version, mss] of [
    [4, 700],
    [6, 1230],
  ] as const) {
    const [vip, hop, source] = version === 4 ? [vip4, '10.1.0.2', '10.5.0.1'] : [vip6, 'fd01::2', 'fd05::1']
    stage.steer('front')
    stage.client.ip([`route replace ${vip} via ${hop} src ${source} advmss ${mss}`])
    const client = new Client(stage.connect(front.port, version))
    client.send(request)
    assert.deepEqual(await front.handOver(await front.arrival()), adopted)
    assert.ok((front.offers.at(-1)?.snapshot.mss ?? 0) <= mss)
    // The frontend may know of the adoption before the application does.
    await settle(() => app.sockets.length === front.offers.length)
    assert.ok(inspect(app.sockets.at(-1) as net.Socket).mss <= mss)
    await settle(() => client.socket.bytesRead === 100_000)
    client.socket.end()
    await settle(() => front.closed.length === front.offers.length)
  }
  await agent.close()
})

test('a server that speaks first: nothing is unread, and an ACK alone makes the connection', async () => {
  const app = await application((socket) => {
    socket.write('220 ready.')
    socket.pipe(socket)
  })
  const { agent, front } = await adoptingAt(`127.0.0.1:${app.port}`)
  for (const version of [4, 6] as const) {
    const readHead = () => ({ kind: 'head', head: undefined as unknown as RequestHead }) as const
    const vip = version === 4 ? vip4 : vip6
    const { port } = stage.front.inside(() =>
      front.gate.listen({ name: 'tcp', address: vip, port: 0, deferAcceptSeconds: 0, readHead }),
    )
    stage.steer('front')
    const client = new Client(stage.connect(port, version))
    const arrival = await front.arrival()
    assert.deepEqual(await front.handOver(arrival), adopted)
    assert.equal(front.offers.at(-1)?.snapshot.receive.queue.length, 0)
    await client.heard('ready.')
    client.send('HELO.')
    await client.heard('HELO.')
    client.socket.end()
    app.sockets.at(-1)?.end()
    assert.equal(await client.end(), 'fin')
  }
  await settle(() => front.closed.length === 2)
  assert.deepEqual(
    front.closed.map(({ bytesIn, bytesOut }) => [bytesIn, bytesOut]),
    [
      [5, 15],
      [5, 15],
    ],
  )
  await agent.close()
})

test('what the client sends, and its FIN, while it is being handed over', async () => {
  const app = await application((socket) => socket.pipe(socket))
  const { agent, front } = await adoptingAt(`127.0.0.1:${app.port}`)
  for (let round = 0; round < 10; round++) {
    stage.steer('front')
    const client = new Client(stage.connect(front.port))
    client.send(request)
    const arrival = await front.arrival()
    // Bytes on the way meet the frozen socket, or the new one, or none.
    const handover = front.handOver(arrival)
    client.send('more')
    if (round % 2 === 1) setImmediate(() => client.socket.end('.'))
    else client.socket.end('.')
    assert.deepEqual(await handover, adopted)
    assert.equal(await client.heard('more.'), `${request}more.`)
    assert.equal(await client.end(), 'fin')
  }
  await settle(() => front.closed.length === 10)
  for (const { bytesIn, bytesOut, cause } of front.closed) {
    const bytes = request.length + 5
    assert.deepEqual([bytesIn, bytesOut, cause], [bytes, bytes, 'client'])
  }
  await agent.close()
})

test('how it ended: by the client, by the application, or by a reset of either', async () => {
  const app = await application()
  const { agent, front } = await adoptingAt(`127.0.0.1:${app.port}`)
  const end = async (how: (client: net.Socket, served: net.Socket) => void) => {
    const count = front.closed.length
    const { client } = await handedOver(front, request)
    await settle(() => app.sockets.length === count + 1)
    const served = app.sockets[count] as net.Socket
    served.resume()
    served.write('answer.')
    await client.heard('answer.')
    how(client.socket, served)
    await settle(() => front.closed.length === count + 1)
    const { cause, bytesIn, bytesOut } = front.closed[count]!
    assert.deepEqual([bytesIn, bytesOut], [request.length, 7])
    client.socket.destroy()
    served.destroy()
    return cause
  }
  const byClient = await end((client, served) => {
    served.once('end', () => served.end())
    client.end()
  })
  const byServer = await end((client, served) => {
    client.once('end', () => client.end())
    served.end()
  })
  const resetByClient = await end((client) => client.resetAndDestroy())
  const resetByServer = await end((_client, served) => served.resetAndDestroy())
  assert.deepEqual(
    [byClient, byServer, resetByClient, resetByServer],
    ['client', 'backend', 'client', 'backend'],
  )
  await agent.close()
})

test('a client’s port that is used again, though its last connection is held here in TIME_WAIT', async () => {
  const app = await application((socket) => {
    socket.resume()
    socket.end('bye.')
  })
  const { agent, front } = await adoptingAt(`127.0.0.1:${app.port}`)
  const first = await handedOver(front, request)
  const { localPort = 0 } = first.client.socket
  await first.client.heard('bye.')
  first.client.socket.end()
  await settle(() => front.closed.length === 1)
  for (let round = 2; round <= 4; round++) {
    const { client, settlement } = await handedOver(front, request, 4, localPort)
    assert.deepEqual(settlement, adopted)
    await client.heard('bye.')
    client.socket.end()
    await settle(() => front.closed.length === round)
  }
  await agent.close()
})

test('the listener: of one address or of all, on the VIP’s port or another, of either family', async () => {
  const outcome = async (host: string, address: string, version: 4 | 6, ofVip = false) => {
    const app = await application((socket) => socket.pipe(socket), host)
    const { agent, front } = await adoptingAt(address.replace('PORT', String(app.port)))
    let { port } = front
    if (ofVip) {
      port = app.port
      stage.front.inside(() => front.gate.listen({ name: 'web', address: version === 4 ? vip4 : vip6, port }))
    }
    stage.steer('front')
    const client = new Client(stage.connect(port, version))
    client.send(request)
    const settlement = await front.handOver(await front.arrival())
    if (settlement.kind === 'adopted') {
      await client.heard(request)
      assert.equal(app.sockets[0]?.localPort, port)
      assert.equal(app.sockets[0]?.localAddress?.replace('::ffff:', ''), version === 4 ? vip4 : vip6)
    }
    client.socket.destroy()
    app.close()
    await agent.destroy()
    return settlement.kind === 'refused' ? settlement.code : settlement.kind
  }
  const none = 'BATON_ADOPT_NO_LISTENER'
  assert.equal(await outcome('127.0.0.1', '127.0.0.1:PORT', 4), 'adopted')
  assert.equal(await outcome('10.2.0.2', '10.2.0.2:PORT', 4), 'adopted')
  assert.equal(await outcome('0.0.0.0', '127.0.0.1:PORT', 4), 'adopted')
  assert.equal(await outcome('0.0.0.0', '127.0.0.1:PORT', 4, true), 'adopted')
  assert.equal(await outcome('::', '127.0.0.1:PORT', 4), 'adopted')
  assert.equal(await outcome('::', '127.0.0.1:PORT', 6), 'adopted')
  assert.equal(await outcome('::', '[::1]:PORT', 6, true), 'adopted')
  assert.equal(await outcome('::1', '[::1]:PORT', 6), 'adopted')
  assert.equal(await outcome('::', '[::1]:PORT', 4), 'adopted')
  assert.equal(await outcome('127.0.0.1', '10.2.0.2:PORT', 4), none)
  assert.equal(await outcome('127.0.0.1', '127.0.0.1:PORT', 6), none)
})
