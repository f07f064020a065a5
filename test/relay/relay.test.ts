import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import http from 'node:http'
import net from 'node:net'
import { test } from 'node:test'
import { ownNamespace } from './namespace.js'
import { exchange, httpServer, listen, relayTo, until } from './servers.js'

ownNamespace('btrel')

const close = 'Host: a.example\r\nConnection: close\r\n\r\n'
/** A port on which nobody listens. */
const nobody = '127.0.0.1:1'

test('passes a request on with Host kept, hop-by-hop fields gone and the client named', async () => {
  let seen: http.IncomingMessage | undefined
  const backend = await httpServer((request, response) => {
    seen = request
    response.setHeader('Connection', 'X-Private')
    response.setHeader('X-Private', '1')
    response.setHeader('Set-Cookie', ['a=1', 'b=2'])
    response.end('hello')
  })
  const front = await relayTo([backend])
  const { text, cut } = await exchange(
    front.port,
    'GET /x?y=%20 HTTP/1.1\r\nHost: A.example:81\r\nConnection: close, X-Drop\r\nX-Drop: 1\r\nX-Keep: 2\r\nTE: trailers\r\n' +
      'X-Forwarded-For: 192.0.2.9\r\nX-Forwarded-Proto: https\r\n\r\n',
  )
  assert.equal(cut, false)
  assert.match(text, /^HTTP\/1\.1 200 OK\r\n/)
  assert.match(text, /\r\n\r\nhello$/)
  assert.match(text, /Set-Cookie: a=1\r\nSet-Cookie: b=2\r\n/)
  assert.doesNotMatch(text, /X-Private/)
  assert.equal(seen?.url, '/x?y=%20')
  assert.equal(seen?.headers.host, 'A.example:81')
  assert.equal(seen?.headers['x-keep'], '2')
  assert.equal(seen?.headers['x-drop'], undefined)
  assert.equal(seen?.headers.te, undefined)
  assert.equal(seen?.headers['x-forwarded-for'], '192.0.2.9, 127.0.0.1')
  assert.equal(seen?.headers['x-forwarded-proto'], 'http')
  assert.equal(seen?.headers['x-forwarded-host'], 'A.example:81')
  assert.equal(seen?.headers.forwarded, 'for=127.0.0.1;proto=http;host="A.example:81"')
  assert.deepEqual(front.results, [{ status: 200, target: backend, error: null }])
})

test('an absolute target becomes origin form and its host wins', async () => {
  const backend = await httpServer((request, response) =>
    response.end(`${request.url} ${request.headers.host}`),
  )
  const front = await relayTo([backend])
  const { text } = await exchange(front.port, `GET http://b.example/p?q HTTP/1.1\r\n${close}`)
  assert.match(text, /\r\n\r\n\/p\?q b\.example$/)
})

test('answers without a body stay without: HEAD, 204, 304', async () => {
  const backend = await httpServer((request, response) => {
    if (request.method === 'HEAD') response.setHeader('Content-Length', '1234')
    else response.statusCode = Number(request.url?.slice(1))
    response.end()
  })
  const front = await relayTo([backend])
  const head = await exchange(front.port, `HEAD /x HTTP/1.1\r\n${close}`)
  assert.match(head.text, /content-length: 1234\r\n[\s\S]*\r\n\r\n$/i)
  for (const status of [204, 304]) {
    const { text } = await exchange(front.port, `GET /${status} HTTP/1.1\r\n${close}`)
    assert.match(text, new RegExp(`^HTTP/1\\.1 ${status} `))
    assert.ok(text.endsWith('\r\n\r\n'))
    assert.doesNotMatch(text, /transfer-encoding/i)
  }
})

test('early hints and trailers arrive', async () => {
  const backend = await httpServer((_request, response) => {
    response.writeEarlyHints({ link: '</a.css>; rel=preload' })
    response.writeHead(200, { Trailer: 'X-Sum' })
    response.write('body')
    response.addTrailers({ 'X-Sum': '42' })
    response.end()
  })
  const front = await relayTo([backend])
  const { text } = await exchange(front.port, `GET / HTTP/1.1\r\n${close}`)
  assert.match(
    text,
    /^HTTP\/1\.1 103 Early Hints\r\nLink: <\/a\.css>; rel=preload\r\n\r\nHTTP\/1\.1 200 OK\r\n/,
  )
  assert.match(text, /4\r\nbody\r\n0\r\nX-Sum: 42\r\n\r\n$/)
})

test('large bodies go both ways against slow readers, byte for byte', async () => {
  const up = randomBytes(6 << 20)
  const down = randomBytes(6 << 20)
  const digest = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')
  const backend = await httpServer((request, response) => {
    const sum = createHash('sha256')
    request.pause()
    setTimeout(() => request.resume(), 100)
    request.on('data', (chunk) => sum.update(chunk))
    request.on('end', () => {
      response.setHeader('X-Up', sum.digest('hex'))
      response.end(down)
    })
  })
  const front = await relayTo([backend])
  for (const chunked of [false, true]) {
    const headers: http.OutgoingHttpHeaders = chunked ? {} : { 'content-length': up.length }
    const [got, sum] = await new Promise<[Buffer, unknown]>((resolve, reject) => {
      const request = http.request(
        { port: front.port, host: '127.0.0.1', method: 'POST', headers },
        (response) => {
          const chunks: Buffer[] = []
          setTimeout(() => response.on('data', (chunk) => chunks.push(chunk)), 100)
          response.on('end', () => resolve([Buffer.concat(chunks), response.headers['x-up']]))
        },
      )
      request.on('error', reject)
      if (chunked)
        for (let at = 0; at < up.length; at += 1 << 20) request.write(up.subarray(at, at + (1 << 20)))
      request.end(chunked ? undefined : up)
    })
    assert.equal(sum, digest(up))
    assert.equal(digest(got), digest(down))
  }
})

test('Expect: 100-continue is answered once the way is open, and not before a 502', async () => {
  const backend = await httpServer((request, response) => {
    request.resume()
    request.on('end', () => response.end('ok'))
  })
  const front = await relayTo([backend])
  const head = 'POST / HTTP/1.1\r\nContent-Length: 4\r\nExpect: 100-continue\r\n'
  const { text } = await exchange(front.port, `${head}${close}`, (socket, all) => {
    if (all === 'HTTP/1.1 100 Continue\r\n\r\n') socket.write('body')
  })
  assert.match(text, /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 OK\r\n[\s\S]*ok$/)
  const dead = await relayTo([nobody])
  const refused = await exchange(dead.port, `${head}${close}`)
  assert.match(refused.text, /^HTTP\/1\.1 502 Bad Gateway\r\n/)
})

test('an address that refuses is passed over, for POST too, since nothing was sent', async () => {
  const backend = await httpServer((request, response) => {
    request.on('data', (chunk) => response.write(chunk))
    request.on('end', () => response.end())
  })
  const front = await relayTo([nobody, backend])
  const { text } = await exchange(front.port, `POST / HTTP/1.0\r\nContent-Length: 4\r\n\r\nbody`)
  assert.match(text, /\r\n\r\nbody$/)
  assert.equal(front.results[0]?.target, backend)
})

test('a backend that dies before its answer: GET goes elsewhere, POST does not', async () => {
  const dying = await listen(net.createServer((socket) => socket.once('data', () => socket.destroy())))
  let posts = 0
  const backend = await httpServer((request, response) => {
    if (request.method === 'POST') posts++
    response.end('alive')
  })
  const front = await relayTo([dying, backend])
  const get = await exchange(front.port, `GET / HTTP/1.1\r\n${close}`)
  assert.match(get.text, /alive$/)
  const post = await exchange(front.port, `POST / HTTP/1.1\r\nContent-Length: 1\r\n${close}x`)
  assert.match(post.text, /^HTTP\/1\.1 502 /)
  assert.equal(posts, 0)
  assert.equal(front.results[1]?.error?.code, 'BATON_RELAY_UPSTREAM')
})

test('a backend that dies in mid-body cuts the client off: no end that looks clean', async () => {
  const start = 'HTTP/1.1 200 OK\r\n'
  for (const fields of [
    'Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n',
    'Content-Length: 10\r\n\r\nhello',
  ]) {
    const dying = await listen(
      net.createServer((socket) =>
        socket.once('data', () => socket.write(start + fields, () => setTimeout(() => socket.destroy(), 50))),
      ),
    )
    const front = await relayTo([dying])
    const { text, cut } = await exchange(front.port, `GET / HTTP/1.1\r\n${close}`)
    assert.match(text, /hello/)
    assert.doesNotMatch(text, /\r\n0\r\n\r\n$/)
    assert.equal(cut, true)
    assert.equal(front.results[0]?.error?.code, 'BATON_RELAY_UPSTREAM')
  }
})

test('a client that goes away takes the request to the backend with it', async () => {
  let aborted = false
  let started = false
  const backend = await httpServer((_request, response) => {
    started = true
    response.write('first')
    response.on('close', () => {
      aborted = !response.writableFinished
    })
  })
  const front = await relayTo([backend])
  const socket = net.connect(front.port, '127.0.0.1')
  socket.on('error', () => undefined)
  socket.write(`GET / HTTP/1.1\r\n${close}`)
  await until(() => started, 'the backend got the request')
  socket.destroy()
  await until(() => aborted, 'the backend saw the end')
  await until(() => front.results.length === 1, 'the relay finished')
  assert.equal(front.results[0]?.error?.code, 'BATON_RELAY_CLIENT_GONE')
})

test('a backend that says nothing: 504', async () => {
  const silent = await listen(net.createServer((socket) => socket.resume()))
  const front = await relayTo([silent], { responseTimeoutMs: 100 })
  const { text } = await exchange(front.port, `GET / HTTP/1.1\r\n${close}`)
  assert.match(text, /^HTTP\/1\.1 504 Gateway Timeout\r\n[\s\S]*BATON_RELAY_TIMEOUT/)
})

test('what is full says 503 with Retry-After, what leads nowhere 502 and 503', async () => {
  let held: http.ServerResponse | undefined
  const backend = await httpServer((_request, response) => {
    held = response
  })
  const front = await relayTo([backend], { maxConnections: 1, maxWaiting: 0 })
  const first = exchange(front.port, `GET / HTTP/1.1\r\n${close}`)
  await until(() => held !== undefined, 'the backend got the first request')
  const second = await exchange(front.port, `GET / HTTP/1.1\r\n${close}`)
  assert.match(second.text, /^HTTP\/1\.1 503 [\s\S]*Retry-After: 1\r\n/)
  held?.end('done')
  assert.match((await first).text, /done$/)
  const dead = await relayTo([nobody, '127.0.0.1:2'])
  assert.match((await exchange(dead.port, `GET / HTTP/1.1\r\n${close}`)).text, /^HTTP\/1\.1 502 /)
  const none = await relayTo([])
  assert.match((await exchange(none.port, `GET / HTTP/1.1\r\n${close}`)).text, /^HTTP\/1\.1 503 /)
})

test('CONNECT-like and broken targets are refused, not passed on', async () => {
  const front = await relayTo([nobody])
  assert.match((await exchange(front.port, `OPTIONS * HTTP/1.1\r\n${close}`)).text, /^HTTP\/1\.1 501 /)
})
