import assert from 'node:assert/strict'
import { createServer } from 'node:net'
import { after, describe, it } from 'node:test'
import { BatonError, type ErrorCode } from '../../src/errors/index.js'
import { Gate } from '../../src/gate/index.js'
import { closeFd } from '../../src/kernel/host.js'
import { enterNamespace, openDescriptors, Rig, request, until, withRig } from './rig.js'

const leave = enterNamespace('lif')
after(leave)

const isCode = (code: ErrorCode) => (error: unknown) => error instanceof BatonError && error.code === code
const ignore = { onArrivals: () => {}, onRejected: () => {} }

describe('listen', () => {
  withRig('says which address it cannot have, and why', {}, async (rig) => {
    const taken = createServer().listen(0, '127.0.0.1')
    await until('the other server', () => taken.listening)
    const at = taken.address()
    assert.ok(at !== null && typeof at === 'object')
    const listen = (address: string, port: number) => () => rig.gate.listen({ name: 'web', address, port })
    try {
      assert.throws(listen('127.0.0.1', at.port), (error: unknown) => {
        assert.ok(error instanceof BatonError)
        assert.deepEqual([error.code, error.step, error.errno], ['BATON_GATE_ADDRESS_IN_USE', 'bind', 98])
        assert.match(error.message, /web, 127\.0\.0\.1:\d+/)
        return true
      })
    } finally {
      taken.close()
    }
    assert.throws(listen('192.0.2.1', 80), isCode('BATON_GATE_ADDRESS_NOT_LOCAL'))
    for (const [address, port] of [
      ['localhost', 80],
      ['fe80::1%lo', 80],
      ['127.0.0.1', -1],
      ['127.0.0.1', 65536],
      ['127.0.0.1', 1.5],
    ] as const) {
      assert.throws(listen(address, port), isCode('BATON_GATE_ADDRESS'))
    }
  })

  withRig('shares an address with another gate, and an IPv6 wildcard takes no IPv4', {}, async (rig) => {
    const { port } = rig.gate.listen({ name: 'one', address: '127.0.0.1', port: 0 })
    const other = new Rig()
    try {
      assert.equal(other.gate.listen({ name: 'two', address: '127.0.0.1', port }).port, port)
      const six = other.gate.listen({ name: 'six', address: '::', port: 0 })
      await assert.rejects(rig.client(six.port, '127.0.0.1'))
    } finally {
      other.dispose()
    }
  })

  it('refuses limits out of range', () => {
    for (const limits of [
      { headBytes: 1 },
      { headBytes: 2 ** 20 },
      { headTimeoutMs: 0 },
      { maxConnections: -1 },
    ]) {
      assert.throws(() => new Gate({ ...ignore, limits }), isCode('BATON_GATE_LIMITS'))
    }
  })
})

describe('pause and resume', () => {
  withRig('leave clients waiting in the kernel', {}, async (rig) => {
    const port = rig.listen()
    rig.gate.pause()
    rig.gate.pause()
    ;(await rig.client(port)).write(request('/'))
    await new Promise((resolve) => setTimeout(resolve, 50))
    assert.equal(rig.gate.stats.accepted, 0)
    const late = rig.listen()
    ;(await rig.client(late)).write(request('/'))
    rig.gate.resume()
    rig.gate.resume()
    await until('both', () => rig.arrivals.length === 2)
  })
})

describe('close', () => {
  withRig('takes what waits in the kernel, lets pending heads finish, and takes no more', {}, async (rig) => {
    const port = rig.listen()
    const pending = await rig.client(port)
    pending.write('GET / HTTP/1.1\r\n')
    await until('the pending head', () => rig.gate.stats.pending === 1)
    rig.gate.pause()
    const waiting = await rig.client(port)
    await new Promise((resolve) => waiting.write(request('/waiting'), resolve))
    let closed = false
    const closing = rig.gate.close().then(() => {
      closed = true
    })
    assert.equal(rig.arrivals[0]?.head.path, '/waiting')
    await assert.rejects(rig.client(port))
    assert.throws(
      () => rig.gate.listen({ name: 'web', address: '127.0.0.1', port: 0 }),
      isCode('BATON_GATE_CLOSED'),
    )
    assert.equal(closed, false)
    pending.write('Host: a\r\n\r\n')
    await closing
    assert.equal(rig.arrivals.length, 2)
    await rig.gate.close()
    rig.gate.destroy()
    rig.gate.resume()
  })

  withRig('ends with the head deadline when a client does not go on', { headTimeoutMs: 200 }, async (rig) => {
    const client = await rig.client(rig.listen())
    client.write('GET /')
    await until('the pending head', () => rig.gate.stats.pending === 1)
    await rig.gate.close()
    assert.equal(rig.rejected[0]?.status, 408)
  })

  it('may be called by a receiver in the middle of a lot', async () => {
    const heads: string[] = []
    const gate = new Gate({
      onArrivals: (arrivals) => {
        void gate.close()
        for (const { fd, bytes } of arrivals) {
          heads.push(bytes.toString('latin1'))
          closeFd(fd)
        }
      },
      onRejected: () => {},
    })
    const { port } = gate.listen({ name: 'web', address: '127.0.0.1', port: 0, deferAcceptSeconds: 0 })
    const rig = new Rig()
    try {
      gate.pause()
      for (let count = 0; count < 100; count++) {
        const client = await rig.client(port)
        await new Promise((resolve) => client.write(request(`/${count}`), resolve))
      }
      gate.resume()
      await until('all heads', () => heads.length === 100)
      assert.deepEqual(
        new Set(heads),
        new Set(Array.from({ length: 100 }, (_, index) => request(`/${index}`))),
      )
      await gate.close()
    } finally {
      gate.destroy()
      rig.dispose()
    }
  })
})

describe('destroy', () => {
  it('closes every descriptor that is not a receiver’s, twice without harm', async () => {
    const rig = new Rig()
    const before = openDescriptors()
    const port = rig.listen()
    const clients = await Promise.all(Array.from({ length: 20 }, () => rig.client(port)))
    await until('all accepted', () => rig.gate.stats.pending === 20)
    const ended = Promise.all(
      clients.map((client) => new Promise((resolve) => client.once('close', resolve).resume())),
    )
    rig.gate.destroy()
    rig.gate.destroy()
    for (const client of clients) client.end()
    await ended
    await rig.gate.close()
    assert.equal(rig.reports, 0)
    // One less than before: the epoll set is closed too.
    assert.equal(openDescriptors(), before - 1)
  })
})

describe('a receiver that throws', () => {
  it('is told to the process, and the others hear of theirs all the same', async () => {
    const rejected: number[] = []
    const errors: unknown[] = []
    const gate = new Gate({
      onArrivals: (arrivals) => {
        for (const { fd } of arrivals) closeFd(fd)
        throw new Error('from the receiver')
      },
      onRejected: (list) => {
        for (const { fd, status } of list) {
          rejected.push(status)
          closeFd(fd)
        }
      },
    })
    const rig = new Rig()
    const catchIt = (error: unknown) => errors.push(error)
    process.setUncaughtExceptionCaptureCallback(catchIt)
    try {
      const { port } = gate.listen({ name: 'web', address: '127.0.0.1', port: 0, deferAcceptSeconds: 0 })
      gate.pause()
      const one = await rig.client(port)
      await new Promise((resolve) => one.write(request('/'), resolve))
      const two = await rig.client(port)
      await new Promise((resolve) => two.write('bad\r\n', resolve))
      gate.resume()
      await until('both', () => errors.length === 1 && rejected.length === 1)
      assert.match(String(errors[0]), /from the receiver/)
      assert.deepEqual(rejected, [400])
    } finally {
      process.setUncaughtExceptionCaptureCallback(null)
      gate.destroy()
      rig.dispose()
    }
  })
})
