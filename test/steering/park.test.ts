import assert from 'node:assert/strict'
import { createServer, type Server, type Socket } from 'node:net'
import { after, before, describe, test } from 'node:test'
import type { Steering } from '../../src/steering/index.js'
import { flags, segment } from './segment.js'
import { families, nextHops, settle, until, Wire } from './wire.js'

const count = 40
const numbers = Array.from({ length: count }, (_, index) => index)
const text = (index: number) => `segment ${String(index).padStart(4, '0')}.`

for (const attach of ['tcx', 'clsact'] as const) {
  describe(`a parked flow (${attach})`, () => {
    const wire = new Wire('btpark')
    let steering: Steering
    let server: Server
    let vipPort: number
    const accepted: Socket[] = []
    before(async () => {
      steering = wire.open({ attach, limits: { flowBytes: 100_000, totalBytes: 150_000 } })
      server = createServer((socket) => accepted.push(socket))
      vipPort = await wire.frontend.listen(server)
    })
    after(async () => {
      for (const socket of accepted) socket.destroy()
      server.close()
      await wire.dispose()
    })

    /** A connection from a crafted client to the frontend's real listener. */
    async function connect(flow: ReturnType<Wire['flow']>) {
      const before = accepted.length
      const ack = await wire.connect(flow)
      const socket = await until('accept', () => accepted[before])
      const received: string[] = []
      socket.setEncoding('latin1').on('data', (chunk: string) => received.push(chunk))
      return { ack, text: () => received.join('') }
    }

    /** Waits, without a turn of the event loop, until the program has parked so many: then they are in the TAP. */
    function parkedInTap(total: number): void {
      const endMs = performance.now() + 5000
      while (steering.stats().parkedPackets < total && performance.now() < endMs);
      assert.equal(steering.stats().parkedPackets, total)
    }

    const data = (flow: ReturnType<Wire['flow']>, index: number, ack = 1) =>
      segment(flow.client, flow.vip, {
        seq: 1000 + index * text(0).length,
        ack,
        payload: text(index),
        flags: flags.psh | flags.ack,
      })

    for (const family of families) {
      for (const drained of [true, false]) {
        const when = drained ? 'kept by the process' : 'still in the TAP'
        test(`its ${family} packets wait, and go to the next hop in order (${when})`, async () => {
          const flow = wire.flow(family, vipPort)
          const { parkedPackets } = steering.stats()
          steering.park([{ key: flow.key, id: 1, nextHop: null }])
          wire.send(...numbers.map((index) => data(flow, index)))
          if (drained) await until('parked frames', () => steering.stats().parkedFrames === count)
          else parkedInTap(parkedPackets + count)
          assert.equal(wire.backend.segments(flow.client.port).length, 0)
          steering.steer([{ key: flow.key, id: 1, nextHop: nextHops[family] }])
          wire.send(data(flow, count))
          const seen = await until('all segments', () => {
            const segments = wire.backend.segments(flow.client.port)
            return segments.length === count + 1 && segments
          })
          assert.deepEqual(
            seen.map(({ payload }) => payload),
            [...numbers, count].map(text),
          )
          assert.equal(wire.router.segments(flow.client.port).length, 0, 'the local stack said nothing')
          assert.equal(steering.stats().parkedFrames, 0)
          assert.equal(steering.get(flow.key)?.packets, count + 1)
        })
      }

      test(`its ${family} packets come to the local connection in order when it is given back`, async () => {
        const flow = wire.flow(family, vipPort)
        const connection = await connect(flow)
        const before = wire.frontend.snmp()
        const { parkedPackets } = steering.stats()
        steering.park([{ key: flow.key, id: 1, nextHop: nextHops[family] }])
        wire.send(...numbers.slice(0, 10).map((index) => data(flow, index, connection.ack)))
        await until('parked frames', () => steering.stats().parkedFrames === 10)
        wire.send(...numbers.slice(10).map((index) => data(flow, index, connection.ack)))
        parkedInTap(parkedPackets + count)
        assert.equal(connection.text(), '')
        steering.unpark([flow.key])
        assert.equal(steering.get(flow.key), undefined)
        const all = numbers.map(text).join('')
        await until('all bytes', () => connection.text().length === all.length)
        assert.equal(connection.text(), all)
        const after = wire.frontend.snmp()
        for (const counter of ['Tcp.InErrs', 'Tcp.InCsumErrors', 'Tcp.OutRsts', 'TcpExt.TCPOFOQueue']) {
          assert.equal(after[counter], before[counter], counter)
        }
      })
    }

    test('flows that are parked together do not mix', async () => {
      const flows = [wire.flow('ipv4', vipPort), wire.flow('ipv6', vipPort), wire.flow('ipv4', vipPort)]
      steering.park(flows.map(({ key }, index) => ({ key, id: index, nextHop: null })))
      for (const index of numbers.slice(0, 9)) wire.send(data(flows[index % 3]!, index))
      await until('parked frames', () => steering.stats().parkedFrames === 9)
      const [first, second, third] = flows as [(typeof flows)[0], (typeof flows)[0], (typeof flows)[0]]
      steering.steer([
        { key: third.key, id: 2, nextHop: nextHops.ipv4 },
        { key: second.key, id: 1, nextHop: nextHops.ipv6 },
      ])
      const seen = (flow: (typeof flows)[0]) =>
        wire.backend.segments(flow.client.port).map(({ payload }) => payload)
      await until('six segments', () => seen(second).length + seen(third).length === 6)
      assert.deepEqual(seen(second), [1, 4, 7].map(text))
      assert.deepEqual(seen(third), [2, 5, 8].map(text))
      assert.equal(steering.stats().parkedFrames, 3)
      steering.drop([first.key])
      await settle()
      assert.equal(steering.stats().parkedFrames, 0)
      assert.deepEqual(seen(first), [])
      assert.equal(wire.router.segments(first.client.port).length, 0, 'dropped frames get no answer')
    })

    test('what is over the limits is dropped and counted, and the rest still goes in order', async () => {
      const flow = wire.flow('ipv4', vipPort)
      const others = [wire.flow('ipv4', vipPort), wire.flow('ipv4', vipPort)]
      const big = (of: typeof flow, seq: number) =>
        segment(of.client, of.vip, { seq, payload: 'x'.repeat(1400) })
      const frameBytes = big(flow, 1).length
      const fit = Math.floor(100_000 / frameBytes)
      const before = steering.stats().parkedDropped
      steering.park([flow, ...others].map(({ key }) => ({ key, id: 1, nextHop: null })))
      for (let index = 0; index < fit + 5; index++) wire.send(big(flow, 1 + index))
      await until('drops', () => steering.stats().parkedDropped - before === 5)
      assert.equal(steering.stats().parkedFrames, fit)
      const left = Math.floor((150_000 - fit * frameBytes) / frameBytes)
      for (let index = 0; index < left + 3; index++) wire.send(big(others[index % 2]!, 1 + index))
      await until('more drops', () => steering.stats().parkedDropped - before === 8)
      assert.ok(steering.stats().parkedBytes <= 150_000)
      steering.steer([{ key: flow.key, id: 1, nextHop: nextHops.ipv4 }])
      const seen = await until('all that fitted', () => {
        const segments = wire.backend.segments(flow.client.port)
        return segments.length === fit && segments
      })
      assert.deepEqual(
        seen.map(({ seq }) => seq),
        Array.from({ length: fit }, (_, index) => 1 + index),
      )
      steering.drop(others.map(({ key }) => key))
      assert.equal(steering.stats().parkedBytes, 0)
    })
  })
}

test('without its TAP the table goes on: what is parked is lost, what is steered is not', async () => {
  const wire = new Wire('btlost')
  try {
    const errors: string[] = []
    const quiet = () => undefined
    const steering = wire.open({
      logger: { info: quiet, warn: quiet, error: (_, message) => errors.push(message) },
    })
    const flow = wire.flow('ipv4')
    steering.park([{ key: flow.key, id: 1, nextHop: null }])
    const links = await wire.frontend.run('ip', ['-o', 'link'])
    await wire.frontend.run('ip', ['link', 'del', /baton-tap\d+/.exec(links)?.[0] ?? ''])
    wire.send(segment(flow.client, flow.vip, { payload: 'lost' }))
    await until('the message', () => errors.some((message) => message.includes('TAP is gone')))
    steering.steer([{ key: flow.key, id: 1, nextHop: nextHops.ipv4 }])
    wire.send(segment(flow.client, flow.vip, { payload: 'steered' }))
    const [seen] = await until('a segment', () => {
      const segments = wire.backend.segments(flow.client.port)
      return segments.length > 0 && segments
    })
    assert.equal(seen?.payload, 'steered')
    assert.equal(wire.router.segments(flow.client.port).length, 0)
  } finally {
    await wire.dispose()
  }
})
