import assert from 'node:assert/strict'
import { once } from 'node:events'
import net from 'node:net'
import { test } from 'node:test'
import { TcpStream } from '../../src/kernel/stream.js'

/** A stream on one end of a connection over loopback, a net.Socket on the other, and what the stream was told. */
async function pair() {
  const server = net.createServer({ allowHalfOpen: true, pauseOnConnect: true })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  const accepted = once(server, 'connection')
  const peer = net.connect({ port: address.port, host: '127.0.0.1', allowHalfOpen: true })
  await once(peer, 'connect')
  const [socket] = (await accepted) as [net.Socket]
  server.close()
  const told: (number | 'end' | 'drain' | Buffer)[] = []
  const handle: unknown = Reflect.get(socket, '_handle')
  const fd: unknown = typeof handle === 'object' && handle !== null ? Reflect.get(handle, 'fd') : undefined
  if (typeof fd !== 'number') throw new Error('no descriptor')
  const stream = new TcpStream(fd, {
    onData: (chunk) => told.push(Buffer.from(chunk)),
    onEnd: () => told.push('end'),
    onError: (errno) => told.push(errno),
    onDrain: () => told.push('drain'),
  })
  // The stream has a duplicate.
  socket.destroy()
  const bytes = () => Buffer.concat(told.filter((one) => Buffer.isBuffer(one)))
  return { stream, peer, told, bytes }
}

async function settle(what: string, done: () => boolean): Promise<void> {
  const deadline = performance.now() + 10_000
  while (!done()) {
    if (performance.now() > deadline) throw new Error(`never happened: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

const random = (length: number) =>
  Buffer.alloc(length, 'a text of some length, whose period is no power of two; ')

test('bytes go both ways, more than fits the kernel’s buffers, and each side ends by itself', async () => {
  const { stream, peer, told, bytes } = await pair()
  const there = random(5_000_000)
  const back = random(3_000_000)
  const heard: Buffer[] = []
  assert.equal(stream.write(there, 0, there.length), false)
  assert.ok(stream.waitingBytes > 0)
  stream.end()
  peer.on('data', (chunk) => heard.push(chunk))
  peer.write(back)
  peer.end()
  await once(peer, 'end')
  assert.ok(Buffer.concat(heard).equals(there))
  await settle('the end', () => told.includes('end'))
  assert.ok(bytes().equals(back))
  assert.equal(stream.waitingBytes, 0)
  assert.equal(told.filter((one) => one === 'drain').length, 1)
  assert.equal(told.at(-1), 'end')
  stream.close()
  stream.close()
})

test('what is written at once needs its bytes no more', async () => {
  const { stream, peer } = await pair()
  const bytes = Buffer.from('..hello..')
  assert.equal(stream.write(bytes, 2, 7), true)
  bytes.fill('x')
  const [chunk] = (await once(peer, 'data')) as [Buffer]
  assert.equal(chunk.toString(), 'hello')
  stream.close()
  peer.destroy()
})

test('a reset is told behind the data that came before it, and writing to it is no error of its own', async () => {
  const { stream, peer, told, bytes } = await pair()
  peer.write('last words')
  await settle('the words', () => bytes().length > 0)
  peer.resetAndDestroy()
  await settle('the reset', () => told.some((one) => typeof one === 'number'))
  assert.equal(bytes().toString(), 'last words')
  const before = told.length
  assert.equal(stream.write(Buffer.from('into the void'), 0, 4), true)
  stream.end()
  await new Promise((resolve) => setImmediate(resolve))
  assert.ok(told.length <= before + 1)
  stream.close()
})

test('closing from inside a callback ends it there', async () => {
  const { stream, peer, told } = await pair()
  const heard = once(peer, 'close')
  peer.on('error', () => undefined)
  peer.write('one')
  await settle('the first bytes', () => told.length === 1)
  stream.close()
  peer.write('two')
  peer.resume()
  await Promise.race([heard, once(peer, 'end')])
  assert.equal(told.length, 1)
  assert.throws(() => new TcpStream(-1, { onData() {}, onEnd() {}, onError() {}, onDrain() {} }), {
    step: 'dup',
  })
  peer.destroy()
})
