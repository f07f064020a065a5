import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { after, afterEach, before, test } from 'node:test'
import { Pool } from '../../src/frontend/pool.js'
import type { RelayedRequest } from '../../src/frontend/relaying.js'
import { Splicing } from '../../src/frontend/splicing.js'
import { tlsAlert } from '../../src/frontend/tls-alert.js'
import { type ClientHello, Gate, readClientHello } from '../../src/gate/index.js'
import { type FlowKey, flowKey } from '../../src/kernel/flow.js'
import { createLogger } from '../../src/telemetry/index.js'
import { hello, serverName } from '../gate/hellos.js'
import { enterNamespace, until } from '../gate/rig.js'
import { makeBackend } from './backends.js'

let leave: () => void
before(() => {
  leave = enterNamespace('splice')
})
after(() => leave())

const first = hello({ extensions: [serverName('a.example')] })
const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')
const open: (() => void)[] = []
afterEach(() => {
  for (const close of open.splice(0)) close()
})

async function listen(server: Server): Promise<{ address: string; port: number }> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  open.push(() => server.close())
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return { address: '127.0.0.1', port: address.port }
}

/** A port on which nobody listens. */
const nobody = { address: '127.0.0.1', port: 9 }

/** A gate whose connections are all spliced to these addresses, and a client of it that has said its hello. */
function start(
  addresses: readonly { address: string; port: number }[],
  idleTimeoutMs = 0,
  more: { proxyProtocol?: 'v1' | 'v2'; claimed?: FlowKey } = {},
) {
  const ended: RelayedRequest[] = []
  const released: string[] = []
  const { proxyProtocol = 'off', claimed = null } = more
  const pool = new Pool('web', { handoff: 'never', balance: 'roundRobin', proxyProtocol })
  pool.backends = addresses.map((address, index) => makeBackend(`b${index}`, { address }))
  const splicing = new Splicing({
    connectTimeoutMs: 1000,
    idleTimeoutMs,
    logger: createLogger({ component: 'frontend', id: 'test', level: 'silent' }),
    release: (flow) => released.push(flow.toString('hex')),
    onEnd: (done) => ended.push(done),
    unanswered: ({ head }) => tlsAlert('internal_error', head.kind === 'tls' ? head.version : undefined),
  })
  const gate = new Gate<ClientHello>({
    onArrivals: (arrivals) => {
      for (const { fd, flow, listener, head, acceptedAtMs } of arrivals) {
        if (!('sni' in head)) throw new Error('no ClientHello')
        splicing.take(fd, {
          flow,
          listener,
          claimed,
          head,
          route: 2,
          pool,
          reason: 'agent_down',
          acceptedAtMs,
        })
      }
    },
    onRejected: () => assert.fail('rejected'),
    onGone: () => undefined,
  })
  const { port } = gate.listen({ name: 'secure', address: '127.0.0.1', port: 0, readHead: readClientHello })
  const client = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  const chunks: Buffer[] = []
  let reset = false
  client.on('data', (chunk) => chunks.push(chunk))
  client.on('error', () => {
    reset = true
  })
  client.write(first)
  open.push(() => {
    gate.destroy()
    splicing.destroy()
    client.destroy()
  })
  return {
    client,
    splicing,
    ended,
    released,
    pool,
    received: () => Buffer.concat(chunks),
    wasReset: () => reset,
  }
}

const closed = (socket: Socket) => new Promise<void>((resolve) => socket.once('close', () => resolve()))

test('bytes go both ways whole, a FIN on either side goes through, and both are counted', async () => {
  const up = randomBytes(5_000_000)
  const down = randomBytes(7_000_000)
  let seen = ''
  const address = await listen(
    createServer({ allowHalfOpen: true }, (socket) => {
      const hash = createHash('sha256')
      socket.on('data', (chunk) => hash.update(chunk))
      socket.on('end', () => {
        seen = hash.digest('hex')
        socket.end(down)
      })
    }),
  )
  const { client, splicing, ended, released, received, pool } = start([address])
  client.end(up)
  // A client that reads late: what comes has to wait for it.
  client.pause()
  await until('the end of the upload', () => seen !== '')
  assert.equal(splicing.size, 1)
  assert.equal(pool.backends[0]?.relayed, 1)
  client.resume()
  await closed(client)
  assert.equal(seen, sha256(Buffer.concat([first, up])))
  assert.equal(sha256(received()), sha256(down))
  await splicing.close()
  assert.equal(splicing.size, 0)
  assert.equal(pool.backends[0]?.relayed, 0)
  assert.equal(released.length, 1)
  const [{ listener, method, path, host, route, backend, reason, status, bytesIn, bytesOut, error }] =
    ended as [RelayedRequest]
  assert.deepEqual(
    { listener, method, path, host, route, backend, reason, status, bytesIn, bytesOut, error },
    {
      ...{ listener: 'secure', method: null, path: null, host: 'a.example', route: 2, backend: 'b0' },
      ...{
        reason: 'agent_down',
        status: 0,
        bytesIn: first.length + up.length,
        bytesOut: down.length,
        error: null,
      },
    },
  )
})

test('a backend that resets resets the client; a client that resets ends the backend', async () => {
  const away = await listen(createServer((socket) => socket.once('data', () => socket.resetAndDestroy())))
  const one = start([away])
  await closed(one.client)
  assert.equal(one.wasReset(), true)
  await one.splicing.close()
  assert.equal(one.ended[0]?.error, 'error')

  let over = false
  const server = createServer((socket) => {
    socket.on('error', () => undefined)
    socket.once('close', () => {
      over = true
    })
    socket.write('x')
  })
  const two = start([await listen(server)])
  await until('the first byte', () => two.received().length > 0)
  two.client.resetAndDestroy()
  await until('the end at the backend', () => over)
  await two.splicing.close()
  assert.equal(two.ended[0]?.error, 'client')
})

test('the next backend is tried; where none answers the client gets internal_error', async () => {
  const address = await listen(createServer((socket) => socket.resume().end('hello')))
  const next = start([nobody, address])
  await until('an answer', () => next.received().toString() === 'hello')
  next.client.end()
  await next.splicing.close()
  assert.equal(next.ended[0]?.backend, 'b1')

  const none = start([nobody])
  await until('the alert', () => none.received().length > 0)
  assert.equal(none.received().toString('hex'), '15030300020250')
  none.client.end()
  await none.splicing.close()
  const { backend, error, bytesOut } = none.ended[0] ?? {}
  assert.deepEqual({ backend, error, bytesOut }, { backend: null, error: 'BATON_NO_BACKEND', bytesOut: 7 })
  assert.equal(none.released.length, 1)
})

test('a pool that wants the header gets it first: the client, or whom a balancer names', async () => {
  const claimed = flowKey({
    client: { address: '192.0.2.7', port: 50_000 },
    vip: { address: '192.0.2.80', port: 443 },
  })
  for (const [more, header, client, via] of [
    [{ proxyProtocol: 'v1' }, /^PROXY TCP4 127\.0\.0\.1 127\.0\.0\.1 \d+ \d+\r\n$/, /^127\.0\.0\.1:/, null],
    [
      { proxyProtocol: 'v1', claimed },
      /^PROXY TCP4 192\.0\.2\.7 192\.0\.2\.80 50000 443\r\n$/,
      /^192\.0\.2\.7:50000$/,
      /^127\.0\.0\.1:/,
    ],
    [
      { proxyProtocol: 'v2', claimed },
      /^0d0a0d0a000d0a515549540a2111000cc0000207c0000250c35001bb$/,
      /^192\.0\.2\.7:50000$/,
      /^127\.0\.0\.1:/,
    ],
  ] as const) {
    const chunks: Buffer[] = []
    const server = createServer((socket) => {
      socket.on('error', () => undefined)
      socket.on('data', (chunk) => chunks.push(chunk))
    })
    const address = await listen(server)
    const one = start([address], 0, more)
    await until('the hello', () => Buffer.concat(chunks).includes(first))
    const heard = Buffer.concat(chunks)
    const encoding = more.proxyProtocol === 'v1' ? 'latin1' : 'hex'
    assert.match(heard.subarray(0, heard.length - first.length).toString(encoding), header)
    one.splicing.destroy()
    await one.splicing.close()
    assert.match(one.ended[0]?.client ?? '', client)
    if (via === null) assert.equal(one.ended[0]?.via, null)
    else assert.match(one.ended[0]?.via ?? '', via)
    assert.equal(one.ended[0]?.bytesIn, first.length)
  }
})

test('silence ends it after idleTimeoutMs; destroy cuts it', async () => {
  const server = createServer((socket) => socket.on('error', () => undefined).resume())
  const address = await listen(server)
  const silent = start([address], 100)
  await until('its end', () => silent.client.readableEnded)
  silent.client.end()
  await silent.splicing.close()
  assert.equal(silent.ended[0]?.error, 'timeout')

  const cut = start([address])
  await until('it is carried', () => cut.pool.backends[0]?.relayed === 1)
  cut.splicing.destroy()
  await closed(cut.client)
  assert.equal(cut.wasReset(), true)
  await cut.splicing.close()
  assert.equal(cut.ended[0]?.error, 'drain')
})
