import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { connect as connectHttp2, createSecureServer } from 'node:http2'
import { createServer, get } from 'node:https'
import { type AddressInfo, connect, createServer as createTcpServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { after, before, describe, test } from 'node:test'
import { WebSocket, WebSocketServer } from 'ws'
import { type Answers, observeRequests } from '../../src/backend-agent/observation.js'
import { onRawAnswer } from '../../src/backend-agent/raw-answer.js'

let secrets: { key: Buffer; cert: Buffer }
const servers: Server[] = []

before(() => {
  const folder = mkdtempSync(join(tmpdir(), 'btobs'))
  const words = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  const files = ['-keyout', join(folder, 'key'), '-out', join(folder, 'cert')]
  execFileSync('openssl', [...words, '-days', '2', '-subj', '/CN=localhost', ...files], { stdio: 'pipe' })
  secrets = { key: readFileSync(join(folder, 'key')), cert: readFileSync(join(folder, 'cert')) }
  rmSync(folder, { recursive: true })
})
after(() => {
  for (const server of servers) server.close()
})

/** A server that is watched as if all of its connections were one, and what is known of them. */
async function watched(server: Server) {
  const answers: Answers = { requests: 0, status: 0 }
  const told: number[] = []
  const secured: string[] = []
  const release = observeRequests(server, {
    answersOf: () => answers,
    onAnswered: (status) => told.push(status),
    onSecure: () => secured.push('secure'),
    onInsecure: (_socket, { code = '' }) => secured.push(code),
  })
  servers.push(server.listen(0, '127.0.0.1'))
  await once(server, 'listening')
  return { secured, answers, told, release, port: (server.address() as AddressInfo).port }
}

describe('requests of a server whose connections stay whole', () => {
  test('are counted with https, and the application gets each as ever', async () => {
    const server = createServer(secrets, (request, response) => {
      response.writeHead(request.url === '/missing' ? 404 : 200).end('here\n')
    })
    const { answers, told, release, port } = await watched(server)
    const status = async (path: string) => {
      const options = { host: '127.0.0.1', port, path, rejectUnauthorized: false, agent: false }
      const [answer] = await once(get(options), 'response')
      answer.resume()
      await once(answer, 'end')
      return answer.statusCode as number
    }
    assert.equal(await status('/'), 200)
    assert.equal(await status('/missing'), 404)
    for (let round = 0; round < 200 && told.length < 2; round++) await new Promise((r) => setTimeout(r, 10))
    assert.deepEqual([answers, told], [{ requests: 2, status: 404 }, [200, 404]])
    release()
    assert.equal(await status('/'), 200)
    assert.equal(answers.requests, 2)
  })

  test('are counted with HTTP/2, where its requests are events', async () => {
    const server = createSecureServer(secrets, (_request, response) => {
      response.end('two\n')
    })
    const { answers, port } = await watched(server)
    const session = connectHttp2(`https://127.0.0.1:${port}`, { rejectUnauthorized: false })
    for (const path of ['/1', '/2', '/3']) {
      const stream = session.request({ ':path': path })
      stream.resume()
      await once(stream, 'close')
    }
    for (let round = 0; round < 200 && answers.status === 0; round++)
      await new Promise((r) => setTimeout(r, 10))
    session.close()
    assert.deepEqual(answers, { requests: 3, status: 200 })
  })

  test('with a WebSocket it is the switch that counts', async () => {
    const server = createServer(secrets)
    const sockets = new WebSocketServer({ server })
    sockets.on('connection', (socket) => socket.on('message', (data) => socket.send(data)))
    const { answers, told, port } = await watched(server)
    const client = new WebSocket(`wss://127.0.0.1:${port}/`, { rejectUnauthorized: false })
    await once(client, 'open')
    client.send('hello')
    const [data] = await once(client, 'message')
    assert.equal(String(data), 'hello')
    assert.deepEqual([answers, told], [{ requests: 1, status: 101 }, [101]])
    client.terminate()
    sockets.close()
  })

  test('begin with a handshake, which is told, done or failed', async () => {
    const { secured, port } = await watched(createServer(secrets, (_request, response) => response.end()))
    const options = { host: '127.0.0.1', port, rejectUnauthorized: false, agent: false }
    const [answer] = await once(get(options), 'response')
    answer.resume()
    await once(answer, 'end')
    connect(port, '127.0.0.1')
      .on('error', () => undefined)
      .end('no handshake\n')
    for (let round = 0; round < 200 && secured.length < 2; round++)
      await new Promise((r) => setTimeout(r, 10))
    assert.equal(secured[0], 'secure')
    assert.match(secured[1] ?? '', /^ERR_SSL_/)
  })

  test('are not counted on connections of others', async () => {
    const server = createServer(secrets, (_request, response) => response.end())
    const told: number[] = []
    const release = observeRequests(server, {
      answersOf: () => undefined,
      onAnswered: (status) => told.push(status),
      onSecure: () => undefined,
      onInsecure: () => undefined,
    })
    servers.push(server.listen(0, '127.0.0.1'))
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const [answer] = await once(
      get({ host: '127.0.0.1', port, rejectUnauthorized: false, agent: false }),
      'response',
    )
    answer.resume()
    await once(answer, 'end')
    assert.deepEqual(told, [])
    release()
  })
})

describe('an answer that is written as bytes', () => {
  /** What is told of a socket on which this is written. */
  function told(act: (socket: PassThrough) => void) {
    const socket = new PassThrough()
    const statuses: number[] = []
    onRawAnswer(socket, (status) => statuses.push(status))
    act(socket)
    return {
      statuses,
      text: String(socket.read() ?? ''),
      own: Object.keys(socket).filter((key) => key === 'write' || key === 'end'),
    }
  }

  test('tells its status once, and the socket is as it was', () => {
    const answer = 'HTTP/1.1 101 Switching Protocols\r\n\r\n'
    const result = told((socket) => {
      socket.write(answer)
      socket.write('HTTP/1.1 500 in the other protocol\r\n')
    })
    assert.deepEqual(result.statuses, [101])
    assert.equal(result.text, `${answer}HTTP/1.1 500 in the other protocol\r\n`)
    assert.deepEqual(result.own, [])
  })

  test('may be bytes, and may come with the end', () => {
    assert.deepEqual(
      told((socket) => socket.end(Buffer.from('HTTP/1.0 426 Upgrade Required\r\n'))).statuses,
      [426],
    )
    assert.deepEqual(told((socket) => socket.write('HTTP/1.1 200\r\n', 'latin1')).statuses, [200])
  })

  test('tells nothing where it is something else', () => {
    for (const first of ['hello', '', 'HTTP/2 200 OK', 'HTTP/1.1 2000 ']) {
      assert.deepEqual(told((socket) => socket.write(first)).statuses, [], first)
    }
    assert.deepEqual(told((socket) => socket.end()).statuses, [])
    assert.deepEqual(told((socket) => socket.end(() => undefined)).statuses, [])
  })

  test('goes out on a real socket', async () => {
    const statuses: number[] = []
    const server = createTcpServer((socket) => {
      onRawAnswer(socket, (status) => statuses.push(status))
      socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')
    })
    servers.push(server.listen(0, '127.0.0.1'))
    await once(server, 'listening')
    const client = connect((server.address() as AddressInfo).port, '127.0.0.1')
    const [bytes] = await once(client, 'data')
    assert.equal(String(bytes), 'HTTP/1.1 400 Bad Request\r\n\r\n')
    assert.deepEqual(statuses, [400])
    client.destroy()
  })
})
