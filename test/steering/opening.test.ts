import assert from 'node:assert/strict'
import { createServer, type Server, type Socket } from 'node:net'
import { after, afterEach, before, describe, mock, test } from 'node:test'
import { BpfMap } from '../../src/kernel/bpf.js'
import { Tap } from '../../src/kernel/tap.js'
import type { Steering } from '../../src/steering/index.js'
import { flags, segment } from './segment.js'
import { families, nextHops, until, Wire } from './wire.js'

const text = (index: number) => `segment ${String(index).padStart(4, '0')}.`
const texts = (count: number) => Array.from({ length: count }, (_, index) => text(index))

/** Calls back around every kernel call by which a flow is opened. */
function aroundEachCall(look: () => void): void {
  const around = <T extends object>(prototype: T, name: keyof T & string) => {
    const original = prototype[name] as (...args: unknown[]) => unknown
    const replacement = function (this: T, ...args: unknown[]) {
      // The test's own ends of the wire are TAPs too.
      if (this instanceof Tap && !this.name.startsWith('baton-tap')) return original.apply(this, args)
      look()
      try {
        return original.apply(this, args)
      } finally {
        look()
      }
    }
    mock.method(prototype, name as never, replacement as never)
  }
  for (const name of ['getMany', 'set', 'delete'] as const) around(BpfMap.prototype, name)
  for (const name of ['drain', 'write'] as const) around(Tap.prototype, name)
}

for (const attach of ['tcx', 'clsact'] as const) {
  describe(`a flow that is opened while frames of it come (${attach})`, () => {
    const wire = new Wire('btopen')
    let steering: Steering
    let server: Server
    let vipPort: number
    const accepted: Socket[] = []
    before(async () => {
      steering = wire.open({ attach, limits: { flowBytes: 2000 } })
      server = createServer((socket) => accepted.push(socket))
      vipPort = await wire.frontend.listen(server)
    })
    afterEach(() => mock.restoreAll())
    after(async () => {
      for (const socket of accepted) socket.destroy()
      server.close()
      await wire.dispose()
    })

    /** Numbered segments of one flow, each sent when it is asked for. */
    function numbered({ client, vip }: ReturnType<Wire['flow']>, ack = 1) {
      let sent = 0
      const one = () => {
        const seq = 1000 + sent * text(0).length
        wire.send(segment(client, vip, { seq, ack, payload: text(sent++), flags: flags.psh | flags.ack }))
      }
      return {
        one,
        some(count: number) {
          for (let index = 0; index < count; index++) one()
        },
        get sent() {
          return sent
        },
      }
    }

    async function arrivesInOrder(
      flow: ReturnType<Wire['flow']>,
      count: number,
      when: string,
    ): Promise<void> {
      const seen = await until(`${count} segments ${when}`, () => {
        const segments = wire.backend.segments(flow.client.port)
        return segments.length >= count && segments
      })
      assert.deepEqual(
        seen.map(({ payload }) => payload),
        texts(count),
        when,
      )
    }

    for (const waiting of [0, 3]) {
      test(`is sent on in order, whenever two come (${waiting} wait before)`, async () => {
        for (let at = 0, calls = 1; at < calls; at++) {
          const flow = wire.flow('ipv4', vipPort)
          const segments = numbered(flow)
          steering.park([{ key: flow.key, id: 1, nextHop: null }])
          segments.some(waiting)
          calls = 0
          aroundEachCall(() => {
            if (calls === at || calls === at + 1) segments.one()
            calls++
          })
          steering.steer([{ key: flow.key, id: 1, nextHop: nextHops.ipv4 }])
          mock.restoreAll()
          segments.one()
          await arrivesInOrder(flow, segments.sent, `when they come at calls ${at} and ${at + 1}`)
        }
      })
    }

    for (const family of families) {
      test(`is sent on in order when one comes at every call (${family})`, async () => {
        const flow = wire.flow(family, vipPort)
        const segments = numbered(flow)
        steering.park([{ key: flow.key, id: 1, nextHop: null }])
        segments.some(3)
        aroundEachCall(() => {
          if (segments.sent < 40) segments.one()
        })
        steering.steer([{ key: flow.key, id: 1, nextHop: nextHops[family] }])
        mock.restoreAll()
        while (segments.sent < 50) segments.one()
        await arrivesInOrder(flow, 50, 'at every call')
      })

      test(`comes to its local connection in order when it is given back (${family})`, async () => {
        const flow = wire.flow(family, vipPort)
        const known = accepted.length
        const segments = numbered(flow, await wire.connect(flow))
        const socket = await until('accept', () => accepted[known])
        const received: string[] = []
        socket.setEncoding('latin1').on('data', (chunk: string) => received.push(chunk))
        const before = wire.frontend.snmp()['TcpExt.TCPOFOQueue']
        steering.park([{ key: flow.key, id: 1, nextHop: nextHops[family] }])
        segments.some(3)
        aroundEachCall(() => {
          if (segments.sent < 40) segments.one()
        })
        steering.unpark([flow.key])
        mock.restoreAll()
        while (segments.sent < 50) segments.one()
        await until('all bytes', () => received.join('').length === 50 * text(0).length)
        assert.equal(received.join(''), texts(50).join(''))
        assert.equal(wire.frontend.snmp()['TcpExt.TCPOFOQueue'], before)
        assert.equal(steering.get(flow.key), undefined)
      })
    }

    test('goes on although frames were over the limits', async () => {
      const flow = wire.flow('ipv4', vipPort)
      const segments = numbered(flow)
      steering.park([{ key: flow.key, id: 1, nextHop: null }])
      segments.some(100)
      const { parkedDropped, parkedPackets } = steering.stats()
      steering.steer([{ key: flow.key, id: 1, nextHop: nextHops.ipv4 }])
      const kept = 100 - (steering.stats().parkedDropped - parkedDropped)
      assert.ok(kept < 100)
      segments.one()
      const seen = await until('those that fitted, and one', () => {
        const all = wire.backend.segments(flow.client.port)
        return all.length === kept + 1 && all
      })
      assert.equal(seen.at(-1)?.payload, text(100))
      assert.equal(steering.stats().parkedPackets, parkedPackets, 'the last did not wait')
    })

    test('goes on although the TAP has lost frames of it', async () => {
      for (const lost of [1, 3]) {
        const flow = wire.flow('ipv4', vipPort)
        const segments = numbered(flow)
        steering.park([{ key: flow.key, id: 1, nextHop: null }])
        segments.some(lost)
        swallow()
        if (lost === 3) segments.one()
        steering.steer([{ key: flow.key, id: 1, nextHop: nextHops.ipv4 }])
        const { parkedPackets } = steering.stats()
        segments.one()
        const expected = segments.sent - lost
        await until('what was not lost', () => wire.backend.segments(flow.client.port).length === expected)
        assert.equal(steering.stats().parkedPackets, parkedPackets, 'the last did not wait')
      }
    })

    /** Reads what the TAP holds, and gives it to nobody. */
    function swallow(): void {
      const { drain } = Tap.prototype
      const swallowing = mock.method(Tap.prototype, 'drain', function (this: Tap) {
        drain.call(this, () => undefined)
      })
      steering.drop([wire.flow('ipv4').key])
      swallowing.mock.restore()
    }
  })
}
