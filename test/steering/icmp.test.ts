import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { Steering } from '../../src/steering/index.js'
import { icmp, type Station, segment, tcpPacket } from './segment.js'
import { type Family, families, nextHops, settle, until, Wire } from './wire.js'

const kinds: Record<Family, readonly (readonly [string, number, number])[]> = {
  ipv4: [
    ['fragmentation needed', 3, 4],
    ['host unreachable', 3, 1],
    ['time exceeded', 11, 0],
    ['parameter problem', 12, 0],
  ],
  ipv6: [
    ['packet too big', 2, 0],
    ['unreachable', 1, 0],
    ['time exceeded', 3, 0],
    ['parameter problem', 4, 0],
  ],
}

/** The MTU field of fragmentation needed (bytes 6–7) and of packet too big (bytes 4–7). */
const mtu1280 = Buffer.from([0, 0, 5, 0])

describe('ICMP errors', () => {
  const wire = new Wire('bticmp')
  let steering: Steering
  before(() => {
    steering = wire.open()
  })
  after(() => wire.dispose())

  /** A router in the network, not the client, tells the VIP of a packet: by default one from the VIP to the client. */
  function error(
    family: Family,
    [, type, code]: readonly [string, number, number],
    { client, vip }: { readonly client: Station; readonly vip: Station },
    quoted = tcpPacket(vip, client, { payload: 'y'.repeat(200) }),
  ): Buffer {
    const address = family === 'ipv4' ? '198.51.100.1' : '2001:db8:ff::1'
    return icmp({ mac: client.mac, address, port: 0 }, vip, type, code, Buffer.concat([mtu1280, quoted]))
  }

  const framesOf = (frame: Buffer) => {
    wire.backend.segments(0)
    return wire.backend.frames.filter((other) => other.subarray(14).equals(frame.subarray(14))).length
  }

  for (const family of families) {
    for (const kind of kinds[family]) {
      test(`${kind[0]} (${family}) goes where the flow it quotes goes`, async () => {
        const { client, vip, key } = wire.flow(family)
        const frame = error(family, kind, { client, vip })
        const before = steering.stats().icmpErrors
        wire.send(frame)
        await settle()
        assert.equal(framesOf(frame), 0, 'without an entry it is the local stack’s')
        steering.steer([{ key, id: 1, nextHop: nextHops[family] }])
        wire.send(frame)
        await until('the error', () => framesOf(frame) === 1)
        assert.equal(steering.get(key)?.packets, 1)
        assert.equal(steering.stats().icmpErrors - before, 1)
      })
    }

    test(`the least that may be quoted is enough (${family})`, async () => {
      const { client, vip, key } = wire.flow(family)
      steering.steer([{ key, id: 1, nextHop: nextHops[family] }])
      const frame = error(
        family,
        kinds[family][0]!,
        { client, vip },
        tcpPacket(vip, client, {}).subarray(0, (family === 'ipv4' ? 20 : 40) + 8),
      )
      wire.send(frame)
      await until('the error', () => framesOf(frame) === 1)
    })

    test(`one about a parked flow waits in its place among the segments (${family})`, async () => {
      const { client, vip, key } = wire.flow(family)
      const frame = error(family, kinds[family][0]!, { client, vip })
      steering.park([{ key, id: 1, nextHop: null }])
      wire.send(segment(client, vip, { seq: 1 }), frame, segment(client, vip, { seq: 2 }))
      await until('three frames', () => steering.stats().parkedFrames === 3)
      const start = wire.backend.frames.length
      steering.steer([{ key, id: 1, nextHop: nextHops[family] }])
      await until('the second segment', () => wire.backend.segments(client.port).length === 2)
      const order = wire.backend.frames
        .slice(start)
        .map((other) => other.subarray(14).equals(frame.subarray(14)))
      assert.deepEqual(order, [false, true, false])
    })

    test(`an echo request is answered here, and a quote of the client’s own packet is no match (${family})`, async () => {
      const { client, vip, key } = wire.flow(family)
      steering.steer([{ key, id: 1, nextHop: nextHops[family] }])
      wire.send(error(family, kinds[family][0]!, { client, vip }, tcpPacket(client, vip, {})))
      const sent = wire.router.frames.length
      const echo = Buffer.from(`${String(client.port).padStart(8, '0')}echo`)
      wire.send(icmp(client, vip, family === 'ipv4' ? 8 : 128, 0, echo))
      await until('echo reply', () => {
        wire.router.segments(0)
        return wire.router.frames.slice(sent).some((frame) => frame.includes(echo))
      })
      assert.equal(steering.get(key)?.packets, 0)
    })
  }
})
