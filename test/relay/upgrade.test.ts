import assert from 'node:assert/strict'
import http from 'node:http'
import net from 'node:net'
import { test } from 'node:test'
import { ownNamespace } from './namespace.js'
import { exchange, listen, relayTo, until } from './servers.js'

ownNamespace('btrup')

const wish =
  'GET /chat HTTP/1.1\r\nHost: a.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\n'
const yes = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'

function echoing(): Promise<string> {
  const server = http.createServer()
  server.on('upgrade', (_request, socket: net.Socket, head: Buffer) => {
    socket.write(yes)
    if (head.length > 0) socket.write(head)
    socket.pipe(socket)
  })
  return listen(server)
}

test('an upgraded connection carries bytes both ways, and a FIN becomes a FIN', async () => {
  const front = await relayTo([await echoing()])
  const { text, cut } = await exchange(front.port, `${wish}early`, (socket, all) => {
    if (all.endsWith('early')) socket.end('late')
  })
  assert.equal(text, `${yes}earlylate`)
  assert.equal(cut, false)
  await until(() => front.results.length === 1, 'the relay finished')
  assert.equal(front.results[0]?.status, 101)
  assert.equal(front.results[0]?.error, null)
})

test('a slow reader holds the other side back without losing a byte', async () => {
  const total = 16 << 20
  let sent = 0
  const server = http.createServer()
  server.on('upgrade', (_request, socket: net.Socket) => {
    socket.write(yes)
    const block = Buffer.alloc(1 << 16, 0x61)
    const more = () => {
      while (sent < total) {
        sent += block.length
        if (!socket.write(block)) return void socket.once('drain', more)
      }
      socket.end()
    }
    more()
  })
  const front = await relayTo([await listen(server)])
  const socket = net.connect({ port: front.port, host: '127.0.0.1' })
  socket.write(wish)
  await new Promise((resolve) => setTimeout(resolve, 300))
  assert.ok(sent < total, `held back at ${sent}`)
  let got = -yes.length
  for await (const chunk of socket) got += (chunk as Buffer).length
  assert.equal(got, total)
})

test('an application that declines answers as usual, and the connection ends', async () => {
  const backend = await listen(http.createServer((_request, response) => response.writeHead(403).end('no')))
  const front = await relayTo([backend])
  const { text } = await exchange(front.port, wish)
  assert.match(text, /^HTTP\/1\.1 403 Forbidden\r\n[\s\S]*Connection: close\r\n\r\nno$/)
})

test('nobody there: 502', async () => {
  const front = await relayTo(['127.0.0.1:1'])
  const { text } = await exchange(front.port, wish)
  assert.match(text, /^HTTP\/1\.1 502 Bad Gateway\r\n[\s\S]*Connection: close\r\n/)
})

test('an application that breaks the tunnel off is not taken for one that ended it', async () => {
  const server = http.createServer()
  server.on('upgrade', (_request, socket: net.Socket) => {
    socket.write(`${yes}part`)
    setTimeout(() => socket.resetAndDestroy(), 50)
  })
  const front = await relayTo([await listen(server)])
  const { text, cut } = await exchange(front.port, wish)
  assert.match(text, /part$/)
  assert.equal(cut, true)
})
