import assert from 'node:assert/strict'
import { createServer, type Server, type Socket } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { discard, freeze } from '../../src/repair/index.js'
import type { Steering } from '../../src/steering/index.js'
import { flags, icmp, type SegmentFields, segment, tcpPacket } from './segment.js'
import { families, nextHops, settle, until, Wire } from './wire.js'

const add = (number: number, to: number) => (number + to) >>> 0
/** How far beyond the frozen socket a proof may lie. */
const maxAck = 1 << 20
const maxSequence = 1 << 16

for (const attach of ['tcx', 'clsact'] as const) {
  describe(`an acknowledgement of what the frozen socket never sent (${attach})`, () => {
    const wire = new Wire('btproof')
    let steering: Steering
    let server: Server
    let vipPort: number
    const accepted: Socket[] = []
    before(async () => {
      steering = wire.open({ attach })
      server = createServer({ pauseOnConnect: true }, (socket) => accepted.push(socket))
      vipPort = await wire.frontend.listen(server)
    })
    after(async () => {
      for (const socket of accepted) socket.destroy()
      server.close()
      await wire.dispose()
    })

    type Flow = ReturnType<Wire['flow']>

    /** A connection that is parked, frozen, and offered to the host of the next hop. */
    async function offered(family: (typeof families)[number], nextHop: string | null = nextHops[family]) {
      const flow = wire.flow(family, vipPort)
      const known = accepted.length
      const ack = await wire.connect(flow)
      const socket = await until('accept', () => accepted[known])
      steering.park([{ key: flow.key, id: known + 1, nextHop }])
      const fd = Reflect.get(Reflect.get(socket, '_handle') as object, 'fd') as number
      freeze(fd)
      return { ...flow, ack, fd, entry: { key: flow.key, id: known + 1, nextHop: nextHops[family] } }
    }

    const arrived = ({ client }: Flow) => wire.backend.segments(client.port).map(({ payload }) => payload)
    const answers = ({ client }: Flow) => wire.router.segments(client.port).length

    async function parks(flow: Flow, frame: Buffer): Promise<void> {
      const { parkedFrames, provenFlows } = steering.stats()
      wire.send(frame)
      await until('a parked frame', () => steering.stats().parkedFrames === parkedFrames + 1)
      assert.equal(steering.get(flow.key)?.state, 'park')
      assert.equal(steering.stats().provenFlows, provenFlows)
      assert.deepEqual(arrived(flow), [])
    }

    for (const family of families) {
      test(`opens its flow at once, and what comes then needs no proof (${family})`, async () => {
        const flow = await offered(family)
        const { client, vip, ack } = flow
        const before = { ...steering.stats(), answers: answers(flow) }
        const frames = [
          segment(client, vip, { seq: 1000, ack: add(ack, 500), payload: 'proof' }),
          segment(client, vip, { seq: 1005, ack, payload: 'and more' }),
        ]
        wire.send(...frames)
        await until('two segments', () => arrived(flow).length === 2)
        assert.deepEqual(arrived(flow), ['proof', 'and more'])
        assert.equal(steering.stats().provenFlows, before.provenFlows + 1)
        assert.equal(steering.stats().parkedPackets, before.parkedPackets)
        assert.equal(answers(flow), before.answers, 'the local stack said nothing')

        const counted = steering.get(flow.key)
        assert.deepEqual([counted?.state, counted?.packets], ['steer', 2])
        steering.steer([flow.entry])
        assert.deepEqual(steering.get(flow.key), counted, 'what was counted is not lost')
        discard(flow.fd)
        wire.send(segment(client, vip, { seq: 1013, ack, payload: '!' }))
        await until('three segments', () => arrived(flow).length === 3)
      })

      test(`may lie as far ahead as an owner and its client get meanwhile (${family})`, async () => {
        for (const [ahead, sequence] of [
          [1, 0],
          [maxAck, 0],
          [1, maxSequence - 1],
        ] as const) {
          const flow = await offered(family)
          const fields = { seq: 1000 + sequence, ack: add(flow.ack, ahead), payload: 'edge' }
          wire.send(segment(flow.client, flow.vip, fields))
          await until('the segment', () => arrived(flow).length === 1)
        }
      })
    }

    const unproven: readonly (readonly [string, (ack: number) => SegmentFields])[] = [
      ['the last that it sent', (ack) => ({ ack })],
      ['an older one', (ack) => ({ ack: add(ack, -1) })],
      ['one that is too far ahead', (ack) => ({ ack: add(ack, maxAck + 1) })],
      ['with a sequence number from before', (ack) => ({ ack: add(ack, 1), seq: 999 })],
      ['with one that is too far ahead', (ack) => ({ ack: add(ack, 1), seq: 1000 + maxSequence })],
      ['a RST', (ack) => ({ ack: add(ack, 1), flags: flags.rst | flags.ack })],
      ['a SYN', (ack) => ({ ack: add(ack, 1), flags: flags.syn | flags.ack })],
      ['without the ACK flag', (ack) => ({ ack: add(ack, 1), flags: flags.psh })],
    ]
    for (const [what, fields] of unproven) {
      test(`is not: ${what}`, async () => {
        const flow = await offered('ipv4')
        await parks(flow, segment(flow.client, flow.vip, { seq: 1000, ...fields(flow.ack) }))
        steering.drop([flow.key])
      })
    }

    test('is not: an ICMP error', async () => {
      const flow = await offered('ipv4')
      const quoted = tcpPacket(flow.vip, flow.client, { seq: flow.ack, ack: add(flow.ack, 1) })
      await parks(flow, icmp(flow.client, flow.vip, 3, 1, Buffer.concat([Buffer.alloc(4), quoted])))
      steering.drop([flow.key])
    })

    test('does not overtake what waits', async () => {
      const flow = await offered('ipv4')
      const { client, vip, ack } = flow
      await parks(flow, segment(client, vip, { seq: 1000, ack, payload: 'first' }))
      await parks(flow, segment(client, vip, { seq: 1005, ack: add(ack, 1), payload: 'second' }))
      steering.steer([flow.entry])
      wire.send(segment(client, vip, { seq: 1011, ack: add(ack, 1), payload: 'third' }))
      await until('three segments', () => arrived(flow).length === 3)
      assert.deepEqual(arrived(flow), ['first', 'second', 'third'])
    })

    test('is none of a connection that has no socket here, or no next hop', async () => {
      const unknown = wire.flow('ipv4', vipPort)
      steering.park([{ key: unknown.key, id: 1, nextHop: nextHops.ipv4 }])
      await parks(unknown, segment(unknown.client, unknown.vip, { seq: 1000, ack: 5000 }))
      const homeless = await offered('ipv4', null)
      const { client, vip, ack } = homeless
      await parks(homeless, segment(client, vip, { seq: 1000, ack: add(ack, 1) }))
      steering.drop([unknown.key, homeless.key])
    })

    test('is to be given anew after another offer', async () => {
      const flow = await offered('ipv4')
      const { client, vip, ack, entry } = flow
      wire.send(segment(client, vip, { seq: 1000, ack: add(ack, 1), payload: 'a liar' }))
      await until('the segment', () => arrived(flow).length === 1)
      steering.park([{ ...entry, id: 7000, nextHop: nextHops.ipv6 }])
      wire.send(segment(client, vip, { seq: 1006, ack: add(ack, 1), payload: 'the truth' }))
      await until('the next', () => arrived(flow).length === 2)
      const now = steering.get(flow.key)
      assert.deepEqual([now?.state, now?.id, now?.nextHop], ['steer', 7000, nextHops.ipv6])
    })

    test('does not overtake what has waited since an earlier offer', async () => {
      const flow = await offered('ipv4')
      const { client, vip, ack, entry } = flow
      await parks(flow, segment(client, vip, { seq: 1000, ack, payload: 'first' }))
      steering.park([{ ...entry, id: 7001, nextHop: nextHops.ipv6 }])
      await parks(flow, segment(client, vip, { seq: 1005, ack: add(ack, 1), payload: 'second' }))
      steering.steer([{ ...entry, id: 7001, nextHop: nextHops.ipv6 }])
      await until('two segments', () => arrived(flow).length === 2)
      assert.deepEqual(arrived(flow), ['first', 'second'])
    })

    test('may be the client’s FIN: its port’s next SYN still waits for the end', async () => {
      const flow = await offered('ipv4')
      const { client, vip, ack, entry } = flow
      wire.send(segment(client, vip, { seq: 1000, ack: add(ack, 1), flags: flags.fin | flags.ack }))
      await until('the FIN', () => arrived(flow).length === 1)
      steering.steer([entry])
      wire.send(segment(client, vip, { seq: 90_000, flags: flags.syn }))
      await settle()
      assert.equal(arrived(flow).length, 1)
      steering.drop([flow.key])
    })

    test('holds for the next process too: that flow is not asked about', async () => {
      const proven = await offered('ipv4')
      const doubtful = await offered('ipv4')
      wire.send(segment(proven.client, proven.vip, { seq: 1000, ack: add(proven.ack, 1), payload: 'proof' }))
      await until('the segment', () => arrived(proven).length === 1)
      wire.close()
      steering = wire.open({ attach })
      assert.deepEqual(steering.leftParked, [doubtful.entry])
      wire.send(segment(proven.client, proven.vip, { seq: 1005, ack: proven.ack, payload: 'and more' }))
      await until('the next', () => arrived(proven).length === 2)
      steering.drop([doubtful.key])
    })
  })
}
