import assert from 'node:assert/strict'
import { after, describe } from 'node:test'
import { parseFlowKey } from '../../src/kernel/flow.js'
import { enterNamespace, request, until, withRig } from './rig.js'

const leave = enterNamespace('arr')
after(leave)

describe('a head arrives', () => {
  withRig('at once, with flow, listener and bytes, on IPv4', {}, async (rig) => {
    const port = rig.listen()
    const client = await rig.client(port)
    client.write(`${request('/a')}body`)
    await until('the arrival', () => rig.arrivals.length === 1)
    const [arrival] = rig.arrivals
    assert.equal(arrival?.head.path, '/a')
    assert.equal(arrival?.listener, 'web')
    assert.equal(arrival?.text, `${request('/a')}body`)
    assert.equal(arrival?.queuedBytes, arrival?.text.length)
    assert.equal(arrival?.halfClosed, false)
    assert.ok(arrival.arrivedAtMs >= arrival.acceptedAtMs)
    assert.deepEqual(parseFlowKey(arrival.flow), {
      client: { address: '127.0.0.1', port: client.localPort },
      vip: { address: '127.0.0.1', port },
    })
  })

  for (const [address, target] of [
    ['::1', '::1'],
    ['::', '::1'],
    ['0.0.0.0', '127.0.0.5'],
  ] as const) {
    withRig(`at a listener on ${address}, with the address that the client meant`, {}, async (rig) => {
      const port = rig.listen(address)
      const client = await rig.client(port, target)
      client.write(request('/'))
      await until('the arrival', () => rig.arrivals.length === 1)
      assert.deepEqual(parseFlowKey(rig.arrivals[0]!.flow), {
        client: { address: client.localAddress, port: client.localPort },
        vip: { address: target, port },
      })
    })
  }

  withRig('with deferred accept', {}, async (rig) => {
    const port = rig.listen('127.0.0.1', 5)
    const client = await rig.client(port)
    assert.equal(rig.gate.stats.accepted, 0)
    client.write(request('/'))
    await until('the arrival', () => rig.arrivals.length === 1)
  })

  withRig('byte by byte', {}, async (rig) => {
    const client = await rig.client(rig.listen())
    const text = request('/slow', 'X-Long: something\r\n')
    for (const [index, byte] of [...text].entries()) {
      assert.equal(rig.reports, 0, `before byte ${index}`)
      client.write(byte)
      await new Promise((resolve) => setImmediate(resolve))
    }
    await until('the arrival', () => rig.arrivals.length === 1)
    assert.equal(rig.arrivals[0]?.head.headBytes, text.length)
    assert.equal(rig.gate.stats.pending, 0)
  })

  withRig('cut in two at every place', {}, async (rig) => {
    const port = rig.listen()
    const text = request('/cut', 'Content-Length: 4\r\n')
    const clients = await Promise.all(Array.from({ length: text.length - 1 }, () => rig.client(port)))
    for (const [index, client] of clients.entries()) client.write(text.slice(0, index + 1))
    await until('all first halves', () => rig.gate.stats.pending === clients.length)
    assert.equal(rig.reports, 0)
    for (const [index, client] of clients.entries()) client.write(text.slice(index + 1))
    await until('all arrivals', () => rig.arrivals.length === clients.length)
    for (const arrival of rig.arrivals) assert.equal(arrival.text, text)
    assert.equal(rig.rejected.length + rig.gone.length, 0)
  })

  withRig('with a second request in the same segment, which it leaves alone', {}, async (rig) => {
    const client = await rig.client(rig.listen())
    client.write(request('/one') + request('/two'))
    await until('the arrival', () => rig.arrivals.length === 1)
    const [arrival] = rig.arrivals
    assert.equal(arrival?.head.path, '/one')
    assert.equal(arrival?.head.headBytes, request('/one').length)
    assert.equal(arrival?.text.slice(arrival.head.headBytes), request('/two'))
  })

  withRig('with more behind it than is peeked', { headBytes: 1024 }, async (rig) => {
    const port = rig.listen()
    rig.gate.pause()
    const client = await rig.client(port)
    await new Promise((resolve) => client.write(request('/') + 'x'.repeat(50_000), resolve))
    rig.gate.resume()
    await until('the arrival', () => rig.arrivals.length === 1)
    assert.equal(rig.arrivals[0]?.text.length, 1024)
    assert.equal(rig.arrivals[0]?.queuedBytes, request('/').length + 50_000)
  })

  withRig('even if it is larger than the first receive window', { headBytes: 256 * 1024 }, async (rig) => {
    const client = await rig.client(rig.listen())
    const lines = Array.from({ length: 100 }, (_, index) => `X-${index}: ${'y'.repeat(2500)}\r\n`).join('')
    const text = request('/large', lines)
    assert.ok(text.length > 250_000)
    client.write(text)
    await until('the arrival', () => rig.arrivals.length === 1)
    assert.equal(rig.arrivals[0]?.head.headBytes, text.length)
  })

  withRig('from a client that closes its side with it', {}, async (rig) => {
    const client = await rig.client(rig.listen())
    const text = request('/half')
    client.write(text.slice(0, 10))
    await until('the first half', () => rig.gate.stats.pending === 1)
    client.end(text.slice(10))
    await until('the arrival', () => rig.arrivals.length === 1)
    assert.equal(rig.arrivals[0]?.head.path, '/half')
  })

  withRig('in lots of many connections', {}, async (rig) => {
    const port = rig.listen()
    rig.gate.pause()
    const clients = await Promise.all(Array.from({ length: 200 }, () => rig.client(port)))
    await Promise.all(clients.map((client) => new Promise((resolve) => client.write(request('/'), resolve))))
    assert.equal(rig.gate.stats.accepted, 0)
    rig.gate.resume()
    await until('all arrivals', () => rig.arrivals.length === 200)
    assert.ok(Math.max(...rig.batches) >= 32, `lots of ${rig.batches}`)
  })
})
