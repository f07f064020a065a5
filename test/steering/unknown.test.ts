import assert from 'node:assert/strict'
import { createServer, type Server, type Socket } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { FlowKey } from '../../src/kernel/flow.js'
import type { Steering } from '../../src/steering/index.js'
import { flags, segment } from './segment.js'
import { families, nextHops, settle, until, vips, Wire } from './wire.js'

describe('a segment of a flow that nobody here knows', () => {
  const wire = new Wire('btunkn')
  const asked: string[] = []
  const accepted: Socket[] = []
  let onUnknown: (key: FlowKey) => void = () => undefined
  let steering: Steering
  let server: Server
  let vipPort: number
  const isAsked = (key: FlowKey) => asked.filter((own) => own === key.toString('hex')).length

  before(async () => {
    server = createServer((socket) => {
      accepted.push(socket)
      socket.on('error', () => socket.destroy())
    })
    vipPort = await wire.frontend.listen(server)
    steering = wire.open({
      unknown: 'park',
      listeners: [
        { address: vips.ipv4, port: vipPort },
        { address: '::', port: vipPort },
      ],
      onUnknown: (key) => {
        asked.push(key.toString('hex'))
        onUnknown(key)
      },
    })
  })
  after(async () => {
    for (const socket of accepted) socket.destroy()
    server.close()
    await wire.dispose()
  })

  for (const family of families) {
    test(`waits for an answer, is asked about once, and goes on in order (${family})`, async () => {
      const { client, vip, key } = wire.flow(family, vipPort)
      for (const seq of [1, 2, 3]) wire.send(segment(client, vip, { seq, payload: String(seq) }))
      await until('the question', () => isAsked(key) === 1)
      wire.send(segment(client, vip, { seq: 4, payload: '4' }))
      await settle()
      assert.equal(isAsked(key), 1)
      assert.equal(wire.router.segments(client.port).length, 0, 'no RST')
      steering.steer([{ key, id: 1, nextHop: nextHops[family] }])
      wire.send(segment(client, vip, { seq: 5, payload: '5' }))
      const seen = await until('five segments', () => {
        const segments = wire.backend.segments(client.port)
        return segments.length === 5 && segments
      })
      assert.deepEqual(
        seen.map(({ payload }) => payload),
        ['1', '2', '3', '4', '5'],
      )
    })

    test(`gets the local stack’s answer when it is given back (${family})`, async () => {
      const { client, vip, key } = wire.flow(family, vipPort)
      wire.send(segment(client, vip), segment(client, vip))
      await until('the question', () => isAsked(key) === 1)
      steering.unpark([key])
      const answers = await until('two RSTs', () => {
        const segments = wire.router.segments(client.port)
        return segments.length === 2 && segments
      })
      assert.ok(answers.every((answer) => answer.flags === flags.rst))
      assert.equal(isAsked(key), 1)
      assert.equal(steering.get(key)?.state, 'pass')
      await until('the end of passing', () => steering.get(key) === undefined)
    })

    test(`is none where there is a socket of the flow: a new connection passes unasked (${family})`, async () => {
      const { client, vip, key } = wire.flow(family, vipPort)
      const before = accepted.length
      wire.send(segment(client, vip, { flags: flags.syn, seq: 99 }))
      const answer = await until('SYN and ACK', () => wire.router.segments(client.port)[0])
      const ack = answer.seq + 1
      wire.send(segment(client, vip, { seq: 100, ack }))
      wire.send(segment(client, vip, { seq: 100, ack, payload: 'hello', flags: flags.psh | flags.ack }))
      const socket = await until('accept', () => accepted[before])
      const chunks: string[] = []
      socket.setEncoding('latin1').on('data', (chunk: string) => chunks.push(chunk))
      await until('data', () => chunks.join('') === 'hello')
      assert.equal(isAsked(key), 0)

      // Given back after a freeze it stays the local stack's, with no question.
      steering.park([{ key, id: 1, nextHop: null }])
      wire.send(segment(client, vip, { seq: 105, ack, payload: ' world', flags: flags.psh | flags.ack }))
      await until('a parked frame', () => steering.stats().parkedFrames === 1)
      steering.unpark([key])
      await until('all data', () => chunks.join('') === 'hello world')
      assert.equal(isAsked(key), 0)
    })

    test(`is not asked about when it is a RST, or for another port (${family})`, async () => {
      const reset = wire.flow(family, vipPort)
      const stranger = wire.flow(family, vipPort === 81 ? 82 : 81)
      wire.send(segment(reset.client, reset.vip, { flags: flags.rst }))
      wire.send(segment(stranger.client, stranger.vip))
      await until('RST', () => wire.router.segments(stranger.client.port).length === 1)
      await settle()
      assert.equal(isAsked(reset.key) + isAsked(stranger.key), 0)
    })

    test(`may be the ACK of a SYN cookie: given back at once, the connection is there (${family})`, async () => {
      wire.frontend.setSysctls({ 'net.ipv4.tcp_syncookies': 2 })
      onUnknown = (key) => steering.unpark([key])
      const { client, vip, key } = wire.flow(family, vipPort)
      const before = accepted.length
      wire.send(segment(client, vip, { flags: flags.syn, seq: 99 }))
      const answer = await until('SYN and ACK', () => wire.router.segments(client.port)[0])
      wire.send(segment(client, vip, { seq: 100, ack: answer.seq + 1 }))
      await until('accept', () => accepted.length === before + 1)
      assert.equal(isAsked(key), 1, 'the cookie left no socket behind')
      onUnknown = () => undefined
      wire.frontend.setSysctls({ 'net.ipv4.tcp_syncookies': 1 })
    })
  }

  test('is dropped, and not answered, when its flow is dropped', async () => {
    const { client, vip, key } = wire.flow('ipv4', vipPort)
    wire.send(segment(client, vip))
    await until('the question', () => isAsked(key) === 1)
    steering.drop([key])
    await settle()
    assert.equal(wire.router.segments(client.port).length, 0)
    wire.send(segment(client, vip))
    await until('another question', () => isAsked(key) === 2)
    steering.drop([key])
  })

  test('is the local stack’s when its listener is taken off the list', async () => {
    steering.setListeners([{ address: vips.ipv6, port: vipPort }])
    const gone = wire.flow('ipv4', vipPort)
    const stays = wire.flow('ipv6', vipPort)
    wire.send(segment(gone.client, gone.vip), segment(stays.client, stays.vip))
    await until('RST', () => wire.router.segments(gone.client.port).length === 1)
    await until('the question', () => isAsked(stays.key) === 1)
    assert.equal(isAsked(gone.key), 0)
    steering.setListeners([{ address: '0.0.0.0', port: vipPort }])
    const again = wire.flow('ipv4', vipPort)
    wire.send(segment(again.client, again.vip))
    await until('the question', () => isAsked(again.key) === 1)
  })

  test('is dropped beyond 4096 a second on one CPU, so that a flood of strays does not drown the process', async () => {
    const flood = Array.from({ length: 20 }, () => wire.flow('ipv4', vipPort))
    const frames = flood.map(({ client, vip }) => segment(client, vip))
    const before = steering.stats()
    const sent = 40_000
    for (let round = 0; round < sent / (frames.length * 50); round++) {
      wire.send(...Array.from({ length: 50 }, () => frames).flat())
    }
    const after = await until('drops', () => {
      const now = steering.stats()
      return now.unknownDropped > before.unknownDropped && now
    })
    assert.ok(after.unknownPackets > before.unknownPackets)
    assert.equal(after.parkedDropped, before.parkedDropped, 'parked frames have a room of their own')
    await sleep(0)
    for (const { key, client } of flood) {
      assert.ok(isAsked(key) <= 1)
      assert.equal(wire.router.segments(client.port).length, 0)
    }
    steering.drop(flood.map(({ key }) => key))
  })
})
