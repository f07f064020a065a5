import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { changed, Deployment, retransmissions } from '../../src/lab/index.js'
import { connectFrom, deliverTo, Received, startApp, statusOf, sum } from './support.js'

let baton: Deployment
const HEAD_BYTES = 4096

before(async () => {
  baton = new Deployment({ prefix: 'btreq', frontends: 1, backends: 2, redis: false })
  const [one, two] = baton.net.backends as [(typeof baton.net.backends)[0], (typeof baton.net.backends)[0]]
  await Promise.all([startApp(baton, one, 'media-1'), startApp(baton, two, 'web-1')])
  await Promise.all([
    baton.startAgent(one, 'media-1', ['media'], deliverTo(one)),
    baton.startAgent(two, 'web-1', ['web'], deliverTo(two)),
  ])
  await baton.startFrontend(baton.net.frontends[0]!, 'front-1', {
    routes: [
      { match: { path: { prefix: '/media/' } }, pool: 'media' },
      { match: { host: 'shop.example' }, pool: 'web' },
    ],
    pools: {
      media: { backends: [{ id: 'media-1', agent: `${one.ipv4}:7400`, address: `${one.ipv4}:8080` }] },
      web: { backends: [{ id: 'web-1', agent: `${two.ipv4}:7400`, address: `${two.ipv4}:8080` }] },
    },
    limits: { headBytes: HEAD_BYTES, headTimeoutMs: 1000 },
  })
})
after(() => baton?.dispose())

const open = (options: { allowHalfOpen?: boolean } = {}) => {
  const socket = connectFrom(baton.net.client, baton.net.vip4, 80, options)
  return { socket, received: new Received(socket) }
}

/** Runs `act` and tells what the handoff counters and the client's TCP saw of it. */
async function watched<T>(act: () => Promise<T>) {
  const hosts = [baton.net.client, ...baton.net.frontends, ...baton.net.backends]
  const earlier = hosts.map((host) => host.snmp())
  const before = await statusOf(baton)
  const result = await act()
  const now = await statusOf(baton)
  const moved = hosts.map((host, index) => changed(earlier[index]!, host.snmp()))
  return {
    result,
    adopted: now.handoffs.adopted - before.handoffs.adopted,
    returned: now.handoffs.returned - before.handoffs.returned,
    relayed: sum(now.relays) - sum(before.relays),
    resets: moved[0]!['Tcp.EstabResets'] ?? 0,
    retransmissions: moved.reduce((total, counters) => total + retransmissions(counters), 0),
    sentAgain: moved.map((counters) =>
      Object.entries(counters).filter(([name]) => /Retrans|Timeouts|LossProbe|DSACK|OFO/.test(name)),
    ),
  }
}

test('a head that arrives byte by byte is handed over when it is whole', async () => {
  const seen = await watched(async () => {
    const { socket, received } = open()
    for (const byte of 'GET /media/a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n') {
      socket.write(byte)
      await sleep(2)
    }
    await received.closed
    return received
  })
  assert.match(seen.result.text, /^HTTP\/1\.1 200 OK\r\n/)
  assert.match(seen.result.text, /"backend":"media-1"/)
  assert.equal(seen.adopted, 1)
  assert.equal(seen.resets, 0)
  assert.equal(seen.retransmissions, 0, JSON.stringify(seen.sentAgain))
})

test('two pipelined requests in one segment are both answered, in order', async () => {
  const seen = await watched(async () => {
    const { socket, received } = open()
    const request = (path: string, more = '') => `GET ${path} HTTP/1.1\r\nHost: x\r\n${more}\r\n`
    socket.write(request('/media/first') + request('/media/second', 'Connection: close\r\n'))
    await received.closed
    return received.text
  })
  assert.deepEqual(
    [...seen.result.matchAll(/"url":"([^"]+)"/g)].map((match) => match[1]),
    ['/media/first', '/media/second'],
  )
  assert.equal(seen.resets, 0)
})

test('a pipelined request of another pool is never answered by the wrong one', async () => {
  const seen = await watched(async () => {
    const { socket, received } = open()
    socket.write(
      'GET /media/1 HTTP/1.1\r\nHost: shop.example\r\n\r\nGET /2 HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n\r\n',
    )
    await received.closed
    return received.text
  })
  const answered = [...seen.result.matchAll(/"backend":"([^"]+)".*?"url":"([^"]+)"/g)]
  assert.deepEqual(
    answered.map((match) => [match[1], match[2]]),
    [
      ['media-1', '/media/1'],
      ['web-1', '/2'],
    ],
  )
})

test('a kept-alive connection moves to the pool of its next request, and back', async () => {
  const seen = await watched(async () => {
    const { socket, received } = open()
    const visited: string[] = []
    for (const path of ['/media/1', '/2', '/media/3', '/media/4']) {
      const last = path === '/media/4' ? 'Connection: close\r\n' : ''
      socket.write(`GET ${path} HTTP/1.1\r\nHost: shop.example\r\n${last}\r\n`)
      const match = await received.until(new RegExp(`"backend":"([^"]+)"[^\\n]*"url":"${path}"[^\\n]*\\n`))
      visited.push(match[1]!)
    }
    await received.closed
    return visited
  })
  assert.deepEqual(seen.result, ['media-1', 'web-1', 'media-1', 'media-1'])
  assert.equal(seen.returned, 2)
  assert.equal(seen.adopted, 3)
  assert.equal(seen.relayed, 0)
  assert.equal(seen.resets, 0)
  assert.equal(seen.retransmissions, 0, JSON.stringify(seen.sentAgain))
})

test('a head 100 bytes over the limit gets 431, one that just fits is served', async () => {
  const head = (bytes: number) => {
    const frame = 'GET /media/a HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Filler: \r\n\r\n'
    return frame.replace('Filler: ', `Filler: ${'f'.repeat(bytes - frame.length)}`)
  }
  const ask = async (bytes: number) => {
    const { socket, received } = open()
    socket.write(head(bytes))
    await received.closed
    return received
  }
  const over = await ask(HEAD_BYTES + 100)
  assert.match(over.text, /^HTTP\/1\.1 431 /)
  assert.equal(over.over, 'end')
  assert.match((await ask(HEAD_BYTES)).text, /^HTTP\/1\.1 200 /)
})

test('a head that is not whole in time gets 408', async () => {
  const { socket, received } = open()
  socket.write('GET /media/slow HTTP/1.1\r\nHost:')
  await received.closed
  assert.match(received.text, /^HTTP\/1\.1 408 /)
  assert.equal(received.over, 'end')
})

test('bad framing gets 400 and no route 404', async () => {
  const ask = async (text: string) => {
    const { socket, received } = open()
    socket.write(text)
    await received.closed
    return received.text
  }
  assert.match(
    await ask('POST /media/ HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n'),
    /^HTTP\/1\.1 400 /,
  )
  assert.match(await ask('GET /nowhere HTTP/1.1\r\nHost: other.example\r\n\r\n'), /^HTTP\/1\.1 404 /)
})

test('POST with Expect: 100-continue gets its 100 and then its answer', async () => {
  const body = randomBytes(100_000)
  const seen = await watched(async () => {
    const { socket, received } = open()
    socket.write(
      `POST /media/up HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n`,
    )
    await received.until(/^HTTP\/1\.1 100 Continue\r\n\r\n/)
    socket.write(body)
    await received.closed
    return received.text
  })
  assert.match(seen.result, new RegExp(createHash('sha256').update(body).digest('hex')))
  assert.equal(seen.adopted, 1)
  assert.equal(seen.retransmissions, 0, JSON.stringify(seen.sentAgain))
})

test('a chunked upload is frozen in flight and goes on, byte for byte', async () => {
  const hash = createHash('sha256')
  const seen = await watched(async () => {
    const { socket, received } = open()
    socket.write(
      'POST /media/up HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n',
    )
    for (let index = 0; index < 400; index++) {
      const piece = randomBytes(1 + ((index * 7919) % 20_000))
      hash.update(piece)
      socket.write(`${piece.length.toString(16)}\r\n`)
      socket.write(piece)
      if (!socket.write('\r\n')) await new Promise((resolve) => socket.once('drain', resolve))
    }
    socket.write('0\r\n\r\n')
    await received.closed
    return received.text
  })
  assert.match(seen.result, new RegExp(hash.digest('hex')))
  assert.equal(seen.adopted + seen.relayed, 1)
  assert.equal(seen.resets, 0)
})

test('a client that half-closes after its request gets its answer', async () => {
  const seen = await watched(async () => {
    const answers: string[] = []
    for (let round = 0; round < 20; round++) {
      const { socket, received } = open({ allowHalfOpen: true })
      socket.end(`GET /media/bytes/${round * 50_000} HTTP/1.1\r\nHost: x\r\n\r\n`)
      await received.closed
      const [head = '', ...rest] = received.text.split('\r\n\r\n')
      assert.match(head, /^HTTP\/1\.1 200 /)
      assert.equal(received.bytes.length - head.length - 4, round * 50_000)
      answers.push(rest.join('').slice(0, 1))
    }
    return answers
  })
  assert.equal(seen.adopted + seen.relayed, 20)
  assert.equal(seen.resets, 0)
})

test('clients that reset during the handoff harm nobody else', async () => {
  const { socket: other, received } = open()
  other.write('GET /media/bytes/3000000 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
  for (let round = 0; round < 200; round++) {
    const { socket } = open()
    socket.write('GET /media/bytes/100000 HTTP/1.1\r\nHost: x\r\n\r\n')
    if (round % 4 !== 0) await sleep(round % 4)
    else await new Promise((resolve) => setImmediate(resolve))
    socket.resetAndDestroy()
  }
  await received.closed
  assert.equal(received.over, 'end')
  assert.ok(received.bytes.length > 3_000_000)
  const again = open()
  again.socket.write('GET /media/after HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
  await again.received.closed
  assert.match(again.received.text, /"url":"\/media\/after"/)
  const { handoffs } = await statusOf(baton)
  assert.equal(handoffs.inFlight, 0)
})
