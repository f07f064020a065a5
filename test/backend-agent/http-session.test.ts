import assert from 'node:assert/strict'
import { test } from 'node:test'
import { discard, freeze, thaw } from '../../src/repair/index.js'
import { ownNamespace } from '../relay/namespace.js'
import { Client, harness, settle } from './session-harness.js'

ownNamespace('btses')

const get = (path: string, fields = '') => `GET ${path} HTTP/1.1\r\nHost: a.example\r\n${fields}\r\n`
const post = (path: string, body: string, fields = '') =>
  `POST ${path} HTTP/1.1\r\nHost: a.example\r\nContent-Length: ${body.length}\r\n${fields}\r\n${body}`

test('requests that follow are seen by the gate first, and are served', async () => {
  const { port, sessions } = await harness((request, response) => response.end(`own ${request.url}.`))
  const client = new Client(port)
  for (let turn = 0; turn < 5; turn++) {
    client.send(get(`/${turn}`))
    assert.match(await client.heard('.'), new RegExp(`own /${turn}\\.$`))
    await settle(() => sessions[0]?.state === 'idle')
  }
  assert.equal(sessions[0]?.requests, 5)
  assert.equal(sessions[0]?.status, 200)
})

test('bodies are counted, read by the application or not', async () => {
  const { port, sessions } = await harness((request, response) => {
    if (request.url === '/unread') response.end('skipped.')
    else {
      let bytes = 0
      request.on('data', (chunk: Buffer) => {
        bytes += chunk.length
      })
      request.on('end', () => response.end(`${bytes} bytes.`))
    }
  })
  const client = new Client(port)
  for (let turn = 0; turn < 2; turn++) {
    client.send(post('/read', 'x'.repeat(300_000)))
    assert.match(await client.heard('.'), /300000 bytes\.$/)
    await settle(() => sessions[0]?.state === 'idle')
    client.send(post('/unread', 'x'.repeat(300_000)))
    assert.match(await client.heard('.'), /skipped\.$/)
    await settle(() => sessions[0]?.state === 'idle')
  }
})

test('Expect: 100-continue goes on as usual, and the connection stays movable', async () => {
  const { port, sessions } = await harness((request, response) => {
    request.resume()
    request.on('end', () => response.end('done.'))
  })
  const client = new Client(port)
  client.send(get('/'))
  await client.heard('done.')
  client.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n')
  await client.heard('100 Continue\r\n\r\n')
  client.send('body')
  await client.heard('done.')
  await settle(() => sessions[0]?.state === 'idle')
})

test("another pool's request does not reach the application: it can be moved, or else is relayed", async () => {
  const seen: string[] = []
  const { port, sessions, moves, misplaced } = await harness((request, response) => {
    seen.push(request.url ?? '')
    response.end('own.')
  })
  const client = new Client(port)
  client.send(get('/1'))
  await client.heard('own.')
  client.send(post('/other/x', 'body'))
  await settle(() => moves.length === 1)
  const session = sessions[0]
  assert.ok(session)
  assert.equal(session.movable, true)
  const snapshot = freeze(session.socket.fd)
  session.freeze()
  assert.equal(snapshot.receive.queue.toString(), post('/other/x', 'body'))
  assert.equal(session.socket.destroy().destroyed, false)
  thaw(session.socket.fd)
  session.stay()
  assert.match(await client.heard('other /other/x'), /^HTTP\/1\.1 200 OK/)
  // And it goes on here, still movable.
  client.send(get('/2'))
  await client.heard('own.')
  client.send(get('/other/y'))
  await settle(() => moves.length === 2)
  assert.equal(session.movable, true)
  session.stay()
  await client.heard('other /other/y')
  assert.deepEqual(seen, ['/1', '/2'])
  assert.deepEqual(misplaced, ['relayed', 'relayed'])
})

test('a connection that leaves is closed without a word', async () => {
  const { port, sessions, moves } = await harness((_request, response) => response.end('own.'))
  const client = new Client(port)
  client.send(get('/1'))
  await client.heard('own.')
  client.send(get('/other/x'))
  await settle(() => moves.length === 1)
  const session = sessions[0]
  assert.ok(session)
  freeze(session.socket.fd)
  session.freeze()
  session.leave()
  await settle(() => session.socket.closed)
  assert.equal(session.state, 'left')
  await new Promise((resolve) => setTimeout(resolve, 100))
  assert.equal(client.ended, false)
  assert.equal(client.failure, undefined)
  assert.throws(() => discard(session.socket.fd), 'the descriptor is closed already')
})

test('pipelined requests are answered in order, each by its own pool', async () => {
  const { port, sessions, misplaced } = await harness((request, response) =>
    setTimeout(() => response.end(`own ${request.url}.`), 20),
  )
  const client = new Client(port)
  client.send(get('/1') + get('/other/2') + get('/3'))
  const text = await client.heard('own /3.')
  assert.ok(text.indexOf('own /1.') < text.indexOf('other /other/2'))
  assert.ok(text.indexOf('other /other/2') < text.indexOf('own /3.'))
  assert.deepEqual(misplaced, ['relayed'])
  assert.equal(sessions[0]?.state, 'plain')
  client.send(get('/4'))
  await client.heard('own /4.')
})

test('a next request that comes while the answer is on its way waits in the kernel', async () => {
  let finish: (() => void) | undefined
  const { port, sessions, moves } = await harness((request, response) => {
    response.write('half ')
    if (request.url === '/1') finish = () => response.end('own.')
    else response.end('whole.')
  })
  const client = new Client(port)
  client.send(get('/1'))
  await client.heard('half')
  client.send(get('/other/2'))
  await settle(() => sessions[0]?.state === 'queued')
  assert.equal(moves.length, 0)
  finish?.()
  await client.heard('own.')
  await settle(() => moves.length === 1)
  assert.equal(sessions[0]?.movable, true)
  sessions[0]?.stay()
  await client.heard('other /other/2')
})

test('chunked bodies: the connection stays, and the next request is still judged', async () => {
  const { port, sessions, moves } = await harness((request, response) => {
    request.resume()
    request.on('end', () => response.end('own.'))
  })
  const client = new Client(port)
  client.send('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n')
  await new Promise((resolve) => setTimeout(resolve, 20))
  client.send('0\r\n\r\n')
  await client.heard('own.')
  assert.equal(sessions[0]?.state, 'plain')
  client.send(get('/other/2'))
  await client.heard('other /other/2')
  assert.equal(moves.length, 0)
})

test('Connection: close ends with FIN, even over bytes that nobody read', async () => {
  const { port, sessions } = await harness((_request, response) =>
    setTimeout(() => response.end('x'.repeat(500_000)), 50),
  )
  const client = new Client(port)
  client.send(get('/', 'Connection: close\r\n'))
  await settle(() => sessions[0]?.state === 'answering')
  client.send('what nobody asked for')
  assert.equal(await client.end(), 'fin')
  assert.ok(client.text.length > 500_000)
  client.socket.end()
  await settle(() => sessions[0]?.socket.closed === true)
  // By the client's FIN, not by our patience.
  assert.equal(sessions[0]?.socket.readableEnded, true)
})

test('a client that goes away during the answer is noticed at once', async () => {
  let aborted = false
  let answering = false
  const { port } = await harness((_request, response) => {
    answering = true
    response.on('close', () => {
      aborted = !response.writableFinished
    })
  })
  const client = new Client(port)
  client.send(get('/'))
  await settle(() => answering)
  client.socket.resetAndDestroy()
  await settle(() => aborted)
})

test('a client that closes between two requests is answered with FIN', async () => {
  const { port, sessions } = await harness((_request, response) => response.end('own.'))
  const client = new Client(port)
  client.send(get('/'))
  await client.heard('own.')
  await settle(() => sessions[0]?.state === 'idle')
  client.socket.end()
  assert.equal(await client.end(), 'fin')
  await settle(() => sessions[0]?.state === 'ended')
})

test('keepAliveTimeout closes an idle connection with FIN', async () => {
  const { port } = await harness((_request, response) => response.end('own.'), { keepAliveTimeout: 100 })
  const client = new Client(port)
  client.send(get('/'))
  await client.heard('own.')
  assert.equal(await client.end(), 'fin')
})

test('keepAliveTimeout does not cut off a head that has begun', async () => {
  const { port, sessions } = await harness((_request, response) => response.end('own.'), {
    keepAliveTimeout: 300,
  })
  const client = new Client(port)
  client.send(get('/1'))
  await client.heard('own.')
  await settle(() => sessions[0]?.state === 'idle')
  client.send('GET /2 HTTP/1.1\r\n')
  await settle(() => sessions[0]?.state === 'plain')
  client.send('Host: a\r\n\r\n')
  await client.heard('own.')
})

test('a head that the gate refuses is left to the server', async () => {
  const { port, sessions } = await harness((_request, response) => response.end('own.'))
  const client = new Client(port)
  client.send(get('/'))
  await client.heard('own.')
  await settle(() => sessions[0]?.state === 'idle')
  client.send('NONSENSE\r\n\r\n')
  assert.match(await client.heard('\r\n\r\n'), /^HTTP\/1\.1 400 /)
})

test('while draining an answer ends the connection, and the next head of an idle one asks to move', async () => {
  const made = await harness((_request, response) => response.end('own.'))
  const idle = new Client(made.port)
  idle.send(get('/'))
  await idle.heard('own.')
  await settle(() => made.sessions[0]?.state === 'idle')
  made.draining = true
  const late = new Client(made.port)
  late.send(get('/'))
  assert.match(await late.heard('own.'), /Connection: close\r\n/)
  assert.equal(await late.end(), 'fin')
  idle.send(get('/'))
  await settle(() => made.moves.length === 1)
  made.sessions[0]?.stay()
  assert.match(await idle.heard('own.'), /Connection: close\r\n/)
  assert.equal(await idle.end(), 'fin')
})

test('an upgrade ends the session, and bytes go on both ways', async () => {
  const { port, server, sessions } = await harness((_request, response) => response.end('own.'))
  server.on('upgrade', (_request, socket) => {
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n')
    socket.pipe(socket)
  })
  const client = new Client(port)
  client.send(get('/1'))
  await client.heard('own.')
  client.send(get('/2', 'Connection: Upgrade\r\nUpgrade: echo\r\n'))
  await client.heard('\r\n\r\n')
  client.send('ping.')
  assert.equal(await client.heard('ping.'), 'ping.')
  assert.equal(sessions[0]?.state, 'plain')
})
