import assert from 'node:assert/strict'
import { after, describe } from 'node:test'
import { flowId } from '../../src/kernel/flow.js'
import { enterNamespace, request, until, withRig } from './rig.js'

const leave = enterNamespace('ref')
after(leave)

describe('a head is refused', () => {
  withRig('with the status of what is wrong with it', {}, async (rig) => {
    const port = rig.listen()
    const expected: Record<string, number> = {
      'GET / HTTP/1.1\r\n\r\n': 400,
      'GET / HTTP/2.0\r\n': 505,
      'CONNECT a:1 HTTP/1.1\r\n': 501,
      '\x16\x03\x01': 400,
    }
    for (const [text, status] of Object.entries(expected)) {
      const client = await rig.client(port)
      client.write(text, 'latin1')
      await until(`a report on ${JSON.stringify(text)}`, () => rig.rejected.length === 1)
      assert.equal(rig.rejected[0]?.status, status)
      assert.match(rig.rejected[0]?.code ?? '', /^BATON_GATE_/)
      rig.closeReported()
    }
    assert.equal(rig.gate.stats.counted, 0)
  })

  withRig('when it is 100 bytes over the limit, whole or in parts', { headBytes: 2048 }, async (rig) => {
    const port = rig.listen()
    const start = request('/', 'X: ').length
    const text = request('/', `X: ${'y'.repeat(2148 - start)}`)
    assert.equal(text.length, 2148)
    const whole = await rig.client(port)
    whole.write(text)
    await until('the first refusal', () => rig.rejected.length === 1)
    const parts = await rig.client(port)
    parts.write(text.slice(0, 2000))
    await until('the first part', () => rig.gate.stats.pending === 1)
    parts.write(text.slice(2000))
    await until('the second refusal', () => rig.rejected.length === 2)
    assert.deepEqual(
      rig.rejected.map(({ status }) => status),
      [431, 431],
    )
    assert.equal(rig.reports, 2)
  })

  withRig('with 414 when the target alone is too long', { headBytes: 1024 }, async (rig) => {
    const client = await rig.client(rig.listen())
    client.write(`GET /${'a'.repeat(500)}`)
    await until('the first part', () => rig.gate.stats.pending === 1)
    client.write('a'.repeat(1000))
    await until('the refusal', () => rig.rejected.length === 1)
    assert.equal(rig.rejected[0]?.status, 414)
  })

  withRig(
    'with 408 when it is not whole in time, however it trickles',
    { headTimeoutMs: 300 },
    async (rig) => {
      const startedMs = performance.now()
      const client = await rig.client(rig.listen())
      client.write('GET / HTTP/1.1\r\n')
      const trickle = setInterval(() => client.write('X: y\r\n'), 20)
      try {
        await until('the refusal', () => rig.reports === 1)
      } finally {
        clearInterval(trickle)
      }
      assert.equal(rig.rejected[0]?.status, 408)
      assert.ok(rig.rejected[0].acceptedAtMs >= startedMs)
      assert.ok(performance.now() - rig.rejected[0].acceptedAtMs >= 300)
      assert.deepEqual(rig.gate.stats, { accepted: 1, pending: 0, counted: 0, acceptRests: 0 })
    },
  )

  withRig('with 400 when the client closes its side in the middle', {}, async (rig) => {
    const client = await rig.client(rig.listen())
    client.end('GET / HTTP/1.1\r\nHost:')
    await until('the refusal', () => rig.reports === 1)
    assert.equal(rig.rejected[0]?.code, 'BATON_GATE_HEAD_CUT')
    assert.equal(rig.rejected[0]?.status, 400)
  })
})

describe('a connection goes without an answer', () => {
  withRig('when it says nothing until the deadline', { headTimeoutMs: 200 }, async (rig) => {
    await rig.client(rig.listen())
    await until('the report', () => rig.reports === 1)
    assert.equal(rig.gone[0]?.reason, 'timeout')
  })

  withRig('when the client closes without a word', {}, async (rig) => {
    const port = rig.listen()
    const early = await rig.client(port)
    early.end()
    await until('the first', () => rig.gone.length === 1)
    const late = await rig.client(port)
    await until('the accept', () => rig.gate.stats.pending === 1)
    late.end()
    await until('the second', () => rig.gone.length === 2)
    assert.deepEqual(
      rig.gone.map(({ reason }) => reason),
      ['closed', 'closed'],
    )
  })

  withRig('when the client resets it, in the middle or before it was accepted', {}, async (rig) => {
    const port = rig.listen()
    const middle = await rig.client(port)
    middle.write('GET / HTTP')
    await until('the accept', () => rig.gate.stats.pending === 1)
    middle.resetAndDestroy()
    await until('the first', () => rig.gone.length === 1)
    rig.gate.pause()
    const early = await rig.client(port)
    early.resetAndDestroy()
    await until('its end', () => early.closed)
    rig.gate.resume()
    await until('the second', () => rig.gone.length === 2)
    assert.deepEqual(
      rig.gone.map(({ reason }) => reason),
      ['reset', 'reset'],
    )
    assert.equal(rig.gate.stats.counted, 0)
  })
})

describe('the number of connections is limited', () => {
  withRig('in all, with 503 until one is released', { maxConnections: 2 }, async (rig) => {
    const port = rig.listen()
    for (let count = 0; count < 3; count++) (await rig.client(port)).write(request('/'))
    await until('the reports', () => rig.reports === 3)
    assert.equal(rig.arrivals.length, 2)
    assert.equal(rig.rejected[0]?.status, 503)
    rig.gate.release(rig.arrivals[0]!.flow)
    ;(await rig.client(port)).write(request('/'))
    await until('another arrival', () => rig.arrivals.length === 3)
  })

  withRig('with those that are gone or refused not counted', { maxConnections: 2 }, async (rig) => {
    const port = rig.listen()
    for (let count = 0; count < 5; count++) {
      ;(await rig.client(port)).end('bad head\r\n')
      await until('the refusal', () => rig.rejected.length === count + 1)
      ;(await rig.client(port)).end()
      await until('the end', () => rig.gone.length === count + 1)
    }
    assert.deepEqual(new Set(rig.rejected.map(({ status }) => status)), new Set([400]))
  })

  withRig('per IPv4 address, with 429', { maxConnectionsPerClient: 2 }, async (rig) => {
    const port = rig.listen()
    const from = async (localAddress: string) => {
      const client = await rig.client(port, '127.0.0.1', localAddress)
      client.write(request('/'))
    }
    for (let count = 0; count < 3; count++) await from('127.0.0.2')
    await until('the reports', () => rig.reports === 3)
    assert.deepEqual([rig.arrivals.length, rig.rejected[0]?.status], [2, 429])
    await from('127.0.0.3')
    await until('the other client', () => rig.arrivals.length === 3)
    for (const { flow } of rig.arrivals) rig.gate.release(flow)
    await from('127.0.0.2')
    await until('the first client again', () => rig.arrivals.length === 4)
    assert.equal(new Set(rig.arrivals.map(({ flow }) => flowId(flow))).size, 4)
  })
})
