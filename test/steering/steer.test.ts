import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { isBatonError } from '../../src/errors/index.js'
import type { Steering } from '../../src/steering/index.js'
import { flags, segment } from './segment.js'
import { backendMacText, families, nextHops, settle, until, Wire } from './wire.js'

for (const attach of ['tcx', 'clsact'] as const) {
  describe(`a steered flow (${attach})`, () => {
    const wire = new Wire('btsteer')
    let steering: Steering
    before(() => {
      steering = wire.open({ attach })
    })
    after(() => wire.dispose())

    test('the program hangs as it was asked to', () => assert.equal(steering.attached, attach))

    for (const family of families) {
      test(`its ${family} packets arrive at the next hop, unchanged, and the local stack sees none`, async () => {
        const { client, vip, key } = wire.flow(family)
        const frame = segment(client, vip, { seq: 1000, payload: 'stray' })
        wire.send(frame)
        const [answer] = await until('RST', () => {
          const seen = wire.router.segments(client.port)
          return seen.length > 0 && seen
        })
        assert.equal(answer?.flags, flags.rst, 'without an entry the local stack answers')

        steering.steer([{ key, id: 1, nextHop: nextHops[family] }])
        const segmentsIn = wire.frontend.snmp()['Tcp.InSegs']
        const before = wire.backend.frames.length
        wire.send(frame, segment(client, vip, { seq: 1005, payload: 'on', flags: flags.psh | flags.ack }))
        const seen = await until('two segments', () => {
          const segments = wire.backend.segments(client.port)
          return segments.length === 2 && segments
        })
        assert.deepEqual(
          seen.map(({ to, seq, payload }) => [to, seq, payload]),
          [
            [backendMacText, 1000, 'stray'],
            [backendMacText, 1005, 'on'],
          ],
        )
        const arrived = wire.backend.frames.slice(before).find((other) => other.length === frame.length)
        assert.deepEqual(arrived?.subarray(14), frame.subarray(14), 'the IP packet is as it was')
        assert.equal(wire.frontend.snmp()['Tcp.InSegs'], segmentsIn)
        assert.equal(wire.router.segments(client.port).length, 1, 'no second RST')
      })
    }

    test('an IPv4 flow may go by an IPv6 next hop, link-local too', async () => {
      for (const nextHop of [nextHops.ipv6, nextHops.linkLocal]) {
        const { client, vip, key } = wire.flow('ipv4')
        steering.steer([{ key, id: 1, nextHop }])
        wire.send(segment(client, vip))
        const [seen] = await until('segment', () => {
          const segments = wire.backend.segments(client.port)
          return segments.length > 0 && segments
        })
        assert.equal(seen?.to, backendMacText)
        assert.equal(steering.get(key)?.nextHop, nextHop)
      }
    })

    test('an IPv6 flow by an IPv4 next hop is refused, and so is what is no address', () => {
      const { key } = wire.flow('ipv6')
      const other = wire.flow('ipv4').key
      for (const nextHop of [nextHops.ipv4, 'backend-1', 'fe80::1%eth0']) {
        assert.throws(
          () =>
            steering.steer([
              { key: other, id: 1, nextHop: nextHops.ipv4 },
              { key, id: 2, nextHop },
            ]),
          (error) => isBatonError(error, 'BATON_STEERING_NEXT_HOP'),
        )
      }
      assert.equal(steering.get(other), undefined, 'nothing of the batch was done')
    })

    test('a SYN for a steered flow goes where the flow goes', async () => {
      const { client, vip, key } = wire.flow('ipv4')
      steering.steer([{ key, id: 1, nextHop: nextHops.ipv4 }])
      wire.send(segment(client, vip, { flags: flags.syn }))
      await until('SYN', () => wire.backend.segments(client.port).length === 1)
      assert.equal(steering.get(key)?.state, 'steer')
      assert.equal(wire.router.segments(client.port).length, 0)
    })

    test('packets, bytes and the time of the last are counted for each flow', async () => {
      const { client, vip, key } = wire.flow('ipv6')
      steering.steer([{ key, id: 77, nextHop: nextHops.ipv6 }])
      assert.deepEqual(steering.get(key), {
        state: 'steer',
        id: 77,
        nextHop: nextHops.ipv6,
        packets: 0,
        bytes: 0,
        lastSeenMs: 0,
      })
      const before = Number(process.hrtime.bigint() / 1_000_000n)
      const totals = steering.stats()
      const frames = [100, 200, 300].map((length) => segment(client, vip, { payload: 'x'.repeat(length) }))
      wire.send(...frames)
      await until('three segments', () => wire.backend.segments(client.port).length === 3)
      const entry = steering.get(key)
      const bytes = frames.reduce((sum, frame) => sum + frame.length, 0)
      assert.equal(entry?.packets, 3)
      assert.equal(entry?.bytes, bytes)
      const now = Number(process.hrtime.bigint() / 1_000_000n)
      assert.ok(entry.lastSeenMs >= before && entry.lastSeenMs <= now, `${before} ${entry.lastSeenMs} ${now}`)
      assert.equal(steering.stats().steeredPackets - totals.steeredPackets, 3)
      assert.equal(steering.stats().steeredBytes - totals.steeredBytes, bytes)
    })

    test('the silent are told from those that were seen a moment ago', async () => {
      const { client, vip, key } = wire.flow('ipv4')
      const idle = (idleMs: number) => [...steering.idle(idleMs)].flat().find((flow) => flow.key.equals(key))
      steering.steer([{ key, id: 78, nextHop: nextHops.ipv4 }])
      assert.deepEqual(idle(3_600_000), {
        key,
        id: 78,
        nextHop: nextHops.ipv4,
        idleMs: Number.POSITIVE_INFINITY,
      })
      wire.send(segment(client, vip))
      await until('a segment', () => (steering.get(key)?.packets ?? 0) === 1)
      assert.equal(idle(3_600_000), undefined)
      const seen = idle(0)
      assert.ok(seen !== undefined && seen.idleMs < 3_600_000)
      steering.linger([key])
      assert.equal(idle(0), undefined)
    })

    test('a frame that was flooded to this host but is another host’s is left alone', async () => {
      const { client, vip, key } = wire.flow('ipv4')
      steering.steer([{ key, id: 1, nextHop: nextHops.ipv4 }])
      const stranger = { ...vip, mac: Buffer.from('020000009900', 'hex') }
      wire.send(segment(client, stranger, { payload: 'flooded' }))
      wire.send(segment(client, vip, { payload: 'mine' }))
      await until('mine', () => wire.backend.segments(client.port).some(({ payload }) => payload === 'mine'))
      await settle()
      const steered = wire.backend.segments(client.port).filter(({ to }) => to === backendMacText)
      assert.deepEqual(
        steered.map(({ payload }) => payload),
        ['mine'],
      )
      assert.equal(steering.get(key)?.packets, 1)
    })
  })
}
