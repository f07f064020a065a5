import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { after, test } from 'node:test'
import { encodeMessage, FrameDecoder, HIGH_WATER_BYTES, type Message } from '../../src/handoff/index.js'
import { closed, hello, offer } from './fixtures.js'
import { dial, frontendHello, makeCertificates, startAgent, token, until } from './pair.js'

const certificates = makeCertificates()
after(() => certificates.remove())

for (const [kind, agentAuth, frontendAuth] of [
  ['a shared token', token, token],
  ['mutual TLS', certificates.agent, certificates.frontend],
] as const) {
  test(`frontend and agent meet by ${kind}, and each learns the other’s HELLO`, async () => {
    const agent = await startAgent({ auth: agentAuth })
    const frontend = dial(agent.port, { auth: frontendAuth })
    await until('both ends', () => frontend.ups.length === 1 && agent.channels.length === 1)
    assert.deepEqual(frontend.ups[0]?.peer, hello)
    assert.deepEqual(agent.channels[0]?.peer, frontendHello)
    assert.equal(frontend.ups[0]?.version, 1)
    agent.channels[0]?.send(closed)
    await until('CLOSED', () => frontend.messages.length === 1)
    assert.deepEqual(frontend.messages, [closed])
    await until(
      'a round trip',
      () => frontend.ups[0]?.rttMs !== undefined && agent.channels[0]?.rttMs !== undefined,
    )
    await frontend.link.close()
    assert.equal(frontend.link.state, 'closed')
    await agent.stop()
    assert.equal(agent.channels[0]?.state, 'closed')
  })
}

const bearer = token.kind === 'token' ? `Authorization: Bearer ${token.token}\r\n` : ''
const upgradeTo = (value: string) => `Connection: Upgrade\r\nUpgrade: ${value}\r\n`

/** Sends raw bytes and returns everything that comes until the server closes. */
async function ask(port: number, text: string): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  let answer = ''
  socket.on('data', (chunk: Buffer) => {
    answer += chunk.toString('latin1')
  })
  socket.write(text)
  await once(socket, 'close')
  return answer
}

const path = '/baton/v1/channel'
const turnedAway: readonly (readonly [string, string, number, string])[] = [
  [
    'no credentials',
    `GET ${path} HTTP/1.1\r\nHost: a\r\n${upgradeTo('baton/1')}\r\n`,
    401,
    'BATON_CHANNEL_UNAUTHORIZED',
  ],
  [
    'a wrong token',
    `GET ${path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${'x'.repeat(33)}\r\n${upgradeTo('baton/1')}\r\n`,
    401,
    'BATON_CHANNEL_UNAUTHORIZED',
  ],
  [
    'no credentials and no Upgrade',
    `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`,
    401,
    'BATON_CHANNEL_UNAUTHORIZED',
  ],
  ['no Upgrade', `GET ${path} HTTP/1.1\r\nHost: a\r\n${bearer}\r\n`, 426, 'BATON_CHANNEL_VERSION'],
  [
    'another protocol',
    `GET ${path} HTTP/1.1\r\nHost: a\r\n${bearer}${upgradeTo('websocket')}\r\n`,
    426,
    'BATON_CHANNEL_VERSION',
  ],
  [
    'another version',
    `GET ${path} HTTP/1.1\r\nHost: a\r\n${bearer}${upgradeTo('baton/2')}\r\n`,
    426,
    'BATON_CHANNEL_VERSION',
  ],
  [
    'another path',
    `GET /elsewhere HTTP/1.1\r\nHost: a\r\n${bearer}${upgradeTo('baton/1')}\r\n`,
    404,
    'BATON_CHANNEL_REFUSED',
  ],
  [
    'another method',
    `POST ${path} HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n${bearer}${upgradeTo('baton/1')}\r\n`,
    405,
    'BATON_CHANNEL_REFUSED',
  ],
]

test('whoever may not have a channel gets a status, a short JSON body, and the end of the connection', async () => {
  const agent = await startAgent({})
  for (const [name, request, status, error] of turnedAway) {
    const answer = await ask(agent.port, request)
    assert.match(answer, new RegExp(`^HTTP/1\\.1 ${status} `), name)
    assert.equal(answer.match(/HTTP\/1\.1/g)?.length, 1, `${name}: one answer`)
    const body: unknown = JSON.parse(answer.slice(answer.indexOf('\r\n\r\n')))
    assert.ok(typeof body === 'object' && body !== null && 'error' in body && body.error === error, name)
    assert.equal('supported' in body, status === 426, `${name}: supported versions`)
    assert.match(answer, /connection: (upgrade, )?close/i, name)
    if (status === 426) assert.match(answer, /upgrade: baton\/1/i, name)
    if (status === 401) assert.match(answer, /www-authenticate: Bearer/i, name)
  }
  assert.equal(agent.channels.length, 0)
  assert.equal(agent.refused.length, turnedAway.length)
  await agent.stop()
})

test('the dialling side learns the status and the words of the refusal', async () => {
  const agent = await startAgent({})
  const frontend = dial(agent.port, {
    auth: { kind: 'token', token: 'another-secret-another-secret-another' },
  })
  await until('two refusals', () => frontend.downs.length >= 2)
  const error = frontend.downs[0]?.error
  assert.equal(error?.code, 'BATON_CHANNEL_UNAUTHORIZED')
  assert.match(error?.message ?? '', /answered 401: The bearer token is not accepted\./)
  frontend.link.destroy()
  await agent.stop()
})

test('with TLS a certificate of another CA is answered 401, and an agent of another CA is not talked to', async () => {
  const agent = await startAgent({ auth: certificates.agent })
  const stranger = dial(agent.port, { auth: certificates.stranger })
  await until('a refusal', () => stranger.downs.length > 0)
  assert.equal(stranger.downs[0]?.error.code, 'BATON_CHANNEL_UNAUTHORIZED')
  stranger.link.destroy()
  const plain = dial(agent.port)
  await until('a failure', () => plain.downs.length > 0)
  assert.equal(plain.downs[0]?.error.code, 'BATON_CHANNEL_CONNECT')
  plain.link.destroy()
  await agent.stop()

  const impostor = await startAgent({ auth: certificates.stranger })
  const frontend = dial(impostor.port, { auth: certificates.frontend })
  await until('a failure', () => frontend.downs.length > 0)
  assert.equal(frontend.downs[0]?.error.code, 'BATON_CHANNEL_CONNECT')
  assert.equal(impostor.channels.length, 0)
  frontend.link.destroy()
  await impostor.stop()
})

test('a server that is no agent is named with what it said', async () => {
  const agent = await startAgent({})
  agent.server.server.removeAllListeners('upgrade')
  agent.server.server.on('upgrade', (_request, socket) =>
    socket.end('HTTP/1.1 503 Busy\r\ncontent-length: 5\r\n\r\nlater'),
  )
  const frontend = dial(agent.port)
  await until('a refusal', () => frontend.downs.length > 0)
  assert.equal(frontend.downs[0]?.error.code, 'BATON_CHANNEL_REFUSED')
  assert.match(frontend.downs[0]?.error.message ?? '', /answered 503: later/)
  frontend.link.destroy()
  await agent.stop()
})

test('sides without a common version say so and part', async () => {
  const agent = await startAgent({})
  const frontend = dial(agent.port, { hello: { minVersion: 2, maxVersion: 3 } })
  await until('both sides', () => frontend.downs.length > 0 && agent.refused.length > 0)
  assert.equal(frontend.downs[0]?.error.code, 'BATON_CHANNEL_VERSION')
  assert.match(frontend.downs[0]?.error.message ?? '', /Here 2–3, there 1–1/)
  assert.equal(agent.channels.length, 0)
  frontend.link.destroy()
  await agent.stop()
})

/** A peer made by hand: the upgrade is done, the 101 is read. */
async function rawPeer(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => socket.destroy())
  socket.write(`GET ${path} HTTP/1.1\r\nHost: a\r\n${bearer}${upgradeTo('baton/9, baton/1')}\r\n`)
  const [answer] = (await once(socket, 'data')) as [Buffer]
  assert.match(answer.toString('latin1'), /^HTTP\/1\.1 101 /)
  return socket
}

test('garbage, an oversized frame, a message before HELLO and a second HELLO each end the channel', async () => {
  const greeting = encodeMessage(frontendHello)
  const bad: readonly (readonly [string, Buffer, string])[] = [
    ['garbage', Buffer.from('GET / HTTP/1.1\r\n\r\n'), 'BATON_FRAME_MALFORMED'],
    ['an oversized frame', Buffer.from('ffffffff10', 'hex'), 'BATON_FRAME_SIZE'],
    ['an offer first', encodeMessage(offer), 'BATON_FRAME_MALFORMED'],
    [
      'garbage after HELLO',
      Buffer.concat([greeting, Buffer.from('00000000ff', 'hex')]),
      'BATON_FRAME_MALFORMED',
    ],
    ['a second HELLO', Buffer.concat([greeting, greeting]), 'BATON_FRAME_MALFORMED'],
  ]
  const ends: (string | undefined)[] = []
  const agent = await startAgent({
    onChannel(channel) {
      channel.onClose = (error) => ends.push(error?.code)
    },
  })
  for (const [name, bytes, code] of bad) {
    const before = ends.length + agent.refused.length
    const peer = await rawPeer(agent.port)
    const over = once(peer, 'close')
    peer.write(bytes)
    await over
    await until(name, () => ends.length + agent.refused.length > before)
    assert.equal(ends.at(-1) ?? agent.refused.at(-1)?.code, code, name)
    ends.length = 0
    agent.refused.length = 0
  }
  await agent.stop()
})

test('frames that follow the request in one segment, before the 101 is there, are read', async () => {
  const received: Message[] = []
  const agent = await startAgent({
    onChannel(channel) {
      channel.onMessage = (message) => received.push(message)
    },
  })
  const socket = connect(agent.port, '127.0.0.1')
  const head = Buffer.from(`GET ${path} HTTP/1.1\r\nHost: a\r\n${bearer}${upgradeTo('baton/1')}\r\n`)
  socket.write(Buffer.concat([head, encodeMessage(frontendHello), encodeMessage(offer)]))
  await until('the offer', () => received.length === 1)
  assert.deepEqual(received, [offer])
  socket.destroy()
  await agent.stop()
})

test('a peer that greets and then falls silent is found dead', async () => {
  const ends: (string | undefined)[] = []
  const agent = await startAgent({
    onChannel(channel) {
      channel.onClose = (error) => ends.push(error?.code)
    },
  })
  const peer = await rawPeer(agent.port)
  peer.write(encodeMessage(frontendHello))
  peer.pause()
  await until('the verdict', () => ends.length === 1)
  assert.deepEqual(ends, ['BATON_CHANNEL_TIMEOUT'])
  peer.destroy()
  await agent.stop()
})

/** Between frontend and agent; swallows what comes in one direction when it is told to. The ends pass. */
async function startMiddle(to: number) {
  const swallowing = { toAgent: false, toFrontend: false }
  const server = createServer((frontend) => {
    const agent = connect(to, '127.0.0.1')
    for (const [from, into, way] of [
      [frontend, agent, 'toAgent'],
      [agent, frontend, 'toFrontend'],
    ] as const) {
      from.on('data', (chunk: Buffer) => swallowing[way] || into.write(chunk))
      from.on('error', () => into.destroy())
      from.on('close', () => into.destroy())
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return { swallowing, port: (server.address() as AddressInfo).port, close: () => server.close() }
}

for (const way of ['toAgent', 'toFrontend'] as const) {
  const [deaf, other] =
    way === 'toAgent' ? (['agent', 'frontend'] as const) : (['frontend', 'agent'] as const)
  test(`when only the ${deaf} hears nothing any more, it says so, and the ${other} learns of it`, async () => {
    const ends = { agent: [] as (string | undefined)[], frontend: [] as (string | undefined)[] }
    const agent = await startAgent({
      onChannel(channel) {
        channel.onClose = (error) => ends.agent.push(error?.code)
      },
    })
    const middle = await startMiddle(agent.port)
    const frontend = dial(middle.port, { onDown: (error) => ends.frontend.push(error.code) })
    try {
      await until('both ends', () => frontend.ups.length === 1 && agent.channels.length === 1)
      middle.swallowing[way] = true
      await until('both verdicts', () => ends.agent.length > 0 && ends.frontend.length > 0)
      assert.equal(ends[deaf][0], 'BATON_CHANNEL_TIMEOUT')
      // It may have been about to say so itself: who gets no answer has nothing to say.
      assert.match(ends[other][0] ?? '', /^BATON_CHANNEL_(CLOSED|TIMEOUT)$/)
    } finally {
      frontend.link.destroy()
      middle.close()
      await agent.stop()
    }
  })
}

test('a peer that asks by itself, as older ones do, is answered, and asked no more than for a round trip', async () => {
  const agent = await startAgent({})
  const peer = await rawPeer(agent.port)
  const decoder = new FrameDecoder()
  const got = { ping: 0, pong: 0 }
  peer.on('data', (chunk: Buffer) => {
    for (const message of decoder.push(chunk)) {
      if (message.type === 'ping') peer.write(encodeMessage({ type: 'pong', nonce: message.nonce }))
      if (message.type === 'ping' || message.type === 'pong') got[message.type]++
    }
  })
  peer.write(encodeMessage(frontendHello))
  const asking = setInterval(() => peer.write(encodeMessage({ type: 'ping', nonce: got.pong })), 500)
  await until('six answers', () => got.pong === 6)
  clearInterval(asking)
  assert.ok(got.ping <= 2, `asked ${got.ping} times`)
  assert.ok(agent.channels[0]?.rttMs !== undefined)
  assert.equal(agent.channels[0]?.state, 'open')
  peer.destroy()
  await agent.stop()
})

test('what was sent without anybody waiting is known to have been handled, though nobody asks for it', async () => {
  const agent = await startAgent({})
  const frontend = dial(agent.port)
  await until('both ends', () => frontend.ups.length === 1 && agent.channels.length === 1)
  const channel = agent.channels[0]!
  await until('a round trip', () => channel.rttMs !== undefined)
  for (let id = 1; id <= 3; id++) channel.sendSoon({ ...closed, id })
  const { sent } = channel
  await until('its receipt', () => channel.confirmed >= sent)
  assert.equal(frontend.messages.length, 3)
  frontend.link.destroy()
  await agent.stop()
})

test('an agent that is stopped (SIGSTOP) is found dead, and found again when it goes on', async () => {
  const module = new URL('./pair.js', import.meta.url).href
  const script = `const { startAgent } = await import(${JSON.stringify(module)})
    const agent = await startAgent({})
    process.stdout.write(String(agent.port))`
  const child: ChildProcess = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  try {
    const [port] = (await once(child.stdout!, 'data')) as [Buffer]
    const frontend = dial(Number(port.toString()))
    await until('the channel', () => frontend.ups.length === 1)
    child.kill('SIGSTOP')
    await until('the verdict', () => frontend.downs.length > 0)
    assert.equal(frontend.downs[0]?.error.code, 'BATON_CHANNEL_TIMEOUT')
    assert.equal(frontend.downs[0]?.channel, frontend.ups[0])
    child.kill('SIGCONT')
    await until('the next channel', () => frontend.ups.length === 2)
    frontend.link.destroy()
  } finally {
    child.kill('SIGKILL')
  }
})

test('a link comes back when its agent does, however long that was away', async () => {
  const agent = await startAgent({})
  const frontend = dial(agent.port)
  await until('the channel', () => frontend.ups.length === 1)
  await agent.stop()
  await until('attempts that fail', () => frontend.downs.length >= 3)
  assert.equal(frontend.link.channel, undefined)
  assert.deepEqual(
    frontend.downs.slice(0, 3).map(({ error, channel }) => [error.code, channel === frontend.ups[0]]),
    [
      ['BATON_CHANNEL_CLOSED', true],
      ['BATON_CHANNEL_CONNECT', false],
      ['BATON_CHANNEL_CONNECT', false],
    ],
  )
  const again = await startAgent({ port: agent.port, hello: { epoch: 2 } })
  await until('the next channel', () => frontend.ups.length === 2)
  assert.equal(frontend.ups[1]?.peer.epoch, 2)
  frontend.link.destroy()
  const { length } = frontend.downs
  await again.stop()
  assert.equal(frontend.downs.length, length)
})

test('a second channel of one peer id takes the place of the first', async () => {
  const ends: (string | undefined)[] = []
  const agent = await startAgent({
    onChannel(channel) {
      channel.onClose = (error) => ends.push(error?.code)
    },
  })
  const first = await rawPeer(agent.port)
  first.write(encodeMessage(frontendHello))
  await until('the first', () => agent.channels.length === 1)
  const over = once(first, 'close')
  const second = dial(agent.port)
  await until('the second', () => agent.channels.length === 2)
  await over
  assert.deepEqual(ends, ['BATON_CHANNEL_REPLACED'])
  assert.equal(agent.channels[1]?.state, 'open')
  await second.link.close()
  await agent.stop()
})

test('close() delivers what was sent before it', async () => {
  const agent = await startAgent({})
  const frontend = dial(agent.port)
  await until('both ends', () => frontend.ups.length === 1 && agent.channels.length === 1)
  for (let id = 1; id <= 5000; id++) agent.channels[0]?.send({ ...closed, id })
  await agent.channels[0]?.close()
  await until('the end', () => frontend.downs.length === 1)
  assert.deepEqual(
    frontend.messages.map((message) => 'id' in message && message.id),
    Array.from({ length: 5000 }, (_, index) => index + 1),
  )
  assert.equal(agent.channels[0]?.send(closed), false)
  frontend.link.destroy()
  await agent.stop()
})

test('handled() resolves when the peer has handled what was sent, and what it sent before that has come', async () => {
  const agent = await startAgent({})
  const frontend = dial(agent.port)
  await until('both ends', () => frontend.ups.length === 1 && agent.channels.length === 1)
  const crossing: Message[] = []
  const channel = agent.channels[0]!
  channel.onMessage = (message) => crossing.push(message)
  for (let id = 1; id <= 500; id++) {
    frontend.ups[0]?.send({ ...closed, id })
    channel.send({ ...closed, id })
  }
  await channel.handled()
  assert.equal(frontend.messages.length, 500)
  assert.equal(crossing.length, 500)
  await channel.handled()
  channel.send(closed)
  const handled = channel.handled()
  channel.destroy()
  await handled
  frontend.link.destroy()
  await agent.stop()
})

test('a peer that does not read makes the channel unwritable, and one that reads again makes it writable', async () => {
  let drained = 0
  const agent = await startAgent({
    onChannel(channel) {
      channel.onDrain = () => drained++
    },
  })
  const peer = await rawPeer(agent.port)
  peer.write(encodeMessage(frontendHello))
  await until('the channel', () => agent.channels.length === 1)
  const channel = agent.channels[0]!
  peer.pause()
  const keepAlive = setInterval(() => peer.write(encodeMessage({ type: 'ping', nonce: 1 })), 200)
  const decoder = new FrameDecoder()
  let read = 0
  let sent = 0
  const large: Message = { ...closed, context: Buffer.alloc(4096) }
  while (channel.writable) {
    for (let count = 0; count < 100; count++) channel.send(large)
    sent += 100
    await new Promise((resolve) => setImmediate(resolve))
  }
  assert.ok(channel.backlogBytes >= HIGH_WATER_BYTES)
  peer.on('data', (chunk: Buffer) => {
    for (const message of decoder.push(chunk)) if (message.type === 'closed') read++
  })
  peer.resume()
  await until('the rest', () => read === sent)
  assert.ok(channel.writable)
  assert.ok(drained > 0)
  clearInterval(keepAlive)
  peer.destroy()
  await agent.stop()
})

test('CAPACITY changes what the other side may offer, and draining makes it 0', async () => {
  const agent = await startAgent({ hello: { capacity: 5 } })
  const frontend = dial(agent.port)
  await until('both ends', () => frontend.ups.length === 1 && agent.channels.length === 1)
  assert.equal(frontend.ups[0]?.capacity, 5)
  agent.channels[0]?.send({ type: 'capacity', capacity: 9, active: 3, accepting: true })
  await until('more', () => frontend.ups[0]?.capacity === 9)
  assert.equal(frontend.ups[0]?.active, 3)
  agent.channels[0]?.send({ type: 'capacity', capacity: 9, active: 3, accepting: false })
  await until('none', () => frontend.ups[0]?.capacity === 0)
  frontend.link.destroy()
  await agent.stop()
})

test('credentials that are none are refused before anything is dialled', () => {
  for (const auth of [
    { kind: 'token', token: 'short' },
    { kind: 'token', token: `${'x'.repeat(40)}\r\nx: y` },
    { kind: 'tls', cert: 'none', key: 'none', ca: 'none' },
  ] as const) {
    assert.throws(() => dial(1, { auth }), { code: 'BATON_CHANNEL_AUTH' })
  }
})
