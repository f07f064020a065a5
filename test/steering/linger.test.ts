import assert from 'node:assert/strict'
import { createServer, type Server } from 'node:net'
import { after, before, describe, test } from 'node:test'
import type { Steering } from '../../src/steering/index.js'
import { flags, segment } from './segment.js'
import { families, nextHops, settle, until, Wire } from './wire.js'

describe('a lingering flow', () => {
  const wire = new Wire('btlinger')
  let steering: Steering
  let server: Server
  let vipPort: number
  before(async () => {
    steering = wire.open()
    server = createServer((socket) => socket.on('error', () => socket.destroy()))
    vipPort = await wire.frontend.listen(server)
  })
  after(async () => {
    server.close()
    await wire.dispose()
  })

  for (const family of families) {
    test(`goes on to its next hop (${family}), until a SYN starts a new connection here`, async () => {
      const { client, vip, key } = wire.flow(family, vipPort)
      steering.steer([{ key, id: 5, nextHop: nextHops[family] }])
      const frame = segment(client, vip, { payload: 'last words' })
      wire.send(frame, frame)
      await until('two segments', () => wire.backend.segments(client.port).length === 2)
      const [counters] = steering.linger([key])
      assert.equal(counters?.packets, 2)
      assert.equal(counters?.bytes, 2 * frame.length)
      const entry = steering.get(key)
      assert.deepEqual([entry?.state, entry?.id, entry?.packets], ['linger', 5, 2])

      // A SYN with an ACK is an answer, no beginning.
      wire.send(frame, segment(client, vip, { flags: flags.syn | flags.ack }))
      await until('four segments', () => wire.backend.segments(client.port).length === 4)
      assert.equal(wire.router.segments(client.port).length, 0)

      const { lingerSyns: before, lingering } = steering.stats()
      wire.send(segment(client, vip, { flags: flags.syn, seq: 70_000 }))
      const answer = await until(
        'SYN and ACK of the local listener',
        () => wire.router.segments(client.port)[0],
      )
      assert.deepEqual([answer.flags, answer.ack], [flags.syn | flags.ack, 70_001])
      assert.equal(steering.get(key), undefined)
      assert.equal(steering.stats().lingerSyns - before, 1)
      assert.equal(steering.stats().lingering, lingering - 1)
      assert.equal(wire.backend.segments(client.port).length, 4)
    })
  }

  for (const family of families) {
    test(`a port used again before the end is known waits for it, and then begins here (${family})`, async () => {
      const { client, vip, key } = wire.flow(family, vipPort)
      const syn = segment(client, vip, { flags: flags.syn, seq: 90_000 })
      steering.steer([{ key, id: 6, nextHop: nextHops[family] }])
      // No FIN yet: somebody else's, or a client that has lost its memory. The owner answers.
      wire.send(syn)
      await until('the SYN at the owner', () => wire.backend.segments(client.port).length === 1)
      wire.send(segment(client, vip, { flags: flags.fin | flags.ack }))
      await until('the FIN at the owner', () => wire.backend.segments(client.port).length === 2)
      wire.send(syn)
      await settle()
      assert.equal(wire.backend.segments(client.port).length, 2)
      assert.equal(wire.router.segments(client.port).length, 0)

      assert.deepEqual(steering.lingerOf([{ key, id: 6 }]), ['lingers'])
      const answer = await until(
        'SYN and ACK of the local listener',
        () => wire.router.segments(client.port)[0],
      )
      assert.deepEqual([answer.flags, answer.ack], [flags.syn | flags.ack, 90_001])
      assert.equal(steering.get(key), undefined)
    })
  }

  test('without an entry counts zeros', () => {
    const { key } = wire.flow('ipv4')
    assert.deepEqual(steering.linger([key]), [{ packets: 0, bytes: 0, lastSeenMs: 0 }])
    assert.equal(steering.get(key), undefined)
  })

  test('is only its own handoff’s to end', () => {
    const { key } = wire.flow('ipv4', vipPort)
    const stranger = wire.flow('ipv4', vipPort)
    steering.steer([{ key, id: 8, nextHop: nextHops.ipv4 }])
    assert.deepEqual(steering.lingerOf([{ key, id: 7 }]), ['other'])
    assert.equal(steering.get(key)?.state, 'steer')
    const verdicts = steering.lingerOf([
      { key: stranger.key, id: 9 },
      { key, id: 8 },
      { key, id: 8 },
    ])
    assert.deepEqual(verdicts, ['other', 'lingers', 'lingered'])
    assert.equal(steering.get(key)?.state, 'linger')
    assert.deepEqual(steering.lingerOf([{ key, id: 8 }]), ['lingered'])
    assert.deepEqual(steering.lingerOf([]), [])
    steering.drop([key])
  })

  test('that was parked on its way to a host plays what was parked; one on its way to none is gone', async () => {
    const known = wire.flow('ipv4', vipPort)
    const unknown = wire.flow('ipv4', vipPort)
    steering.park([
      { key: known.key, id: 1, nextHop: nextHops.ipv4 },
      { key: unknown.key, id: 2, nextHop: null },
    ])
    wire.send(segment(known.client, known.vip, { payload: 'parked' }))
    await until('a parked frame', () => steering.stats().parkedFrames === 1)
    steering.linger([known.key, unknown.key])
    await until('the segment', () => wire.backend.segments(known.client.port)[0]?.payload === 'parked')
    assert.equal(steering.get(known.key)?.state, 'linger')
    assert.equal(steering.get(unknown.key), undefined)
  })

  test('is made of every flow of a dead agent, and of no other', () => {
    const dead = '10.0.0.13'
    const flows = Array.from({ length: 300 }, () => wire.flow('ipv4'))
    steering.steer(
      flows.map(({ key }, index) => ({ key, id: index, nextHop: index % 3 === 0 ? dead : nextHops.ipv4 })),
    )
    const parked = wire.flow('ipv4')
    steering.park([{ key: parked.key, id: 1, nextHop: dead }])
    assert.equal(steering.lingerAll(dead), 100)
    assert.equal(steering.lingerAll(dead), 0)
    assert.equal(steering.lingerAll('10.0.0.99'), 0)
    const states = flows.map(({ key }) => steering.get(key)?.state)
    assert.deepEqual(
      states,
      flows.map((_, index) => (index % 3 === 0 ? 'linger' : 'steer')),
    )
    assert.equal(steering.get(parked.key)?.state, 'park')
    steering.drop([...flows, parked].map(({ key }) => key))
  })
})

describe('the end of lingering', () => {
  const wire = new Wire('btexpire')
  after(() => wire.dispose())

  test('comes after lingerMs by itself, for one and for thousands', async () => {
    const steering = wire.open({ lingerMs: 50, maxFlows: 10_000 })
    const flows = Array.from({ length: 5000 }, () => wire.flow('ipv4'))
    const staying = wire.flow('ipv4')
    steering.steer([...flows, staying].map(({ key }) => ({ key, id: 9, nextHop: nextHops.ipv4 })))
    const [first, ...others] = flows
    steering.linger([first!.key])
    steering.linger(others.map(({ key }) => key))
    assert.equal(steering.stats().lingering, 5000)
    await until('expiry', () => steering.stats().flows === 1)
    assert.equal(steering.stats().lingering, 0)
    assert.equal(steering.get(staying.key)?.state, 'steer')
    wire.detach()
  })

  test('does not touch a later life of the same flow', async () => {
    const steering = wire.open({ lingerMs: 50 })
    const reused = wire.flow('ipv4').key
    const steered = wire.flow('ipv4').key
    const last = wire.flow('ipv4').key
    const entry = (key: typeof last, id: number) => ({ key, id, nextHop: nextHops.ipv4 })
    steering.steer([entry(reused, 1), entry(steered, 1)])
    steering.linger([reused, steered])
    steering.steer([entry(reused, 2), entry(steered, 1), entry(last, 3)])
    steering.linger([last])
    await until('the expiry of the last', () => steering.get(last) === undefined)
    await settle()
    assert.equal(steering.stats().lingering, 0)
    assert.deepEqual([steering.get(reused)?.state, steering.get(reused)?.id], ['steer', 2])
    assert.equal(steering.get(steered)?.state, 'steer')
    wire.detach()
  })
})
