import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { after, describe } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { closeFd } from '../../src/kernel/host.js'
import { enterNamespace, openDescriptors, type Rig, request, until, withRig } from './rig.js'

const leave = enterNamespace('loa')
after(leave)

setFlagsFromString('--expose-gc')
const collectGarbage: () => void = runInNewContext('gc')

function memory(): { heap: number; resident: number } {
  collectGarbage()
  const { heapUsed, external, rss } = process.memoryUsage()
  return { heap: heapUsed + external, resident: rss }
}

/** Connects, sends the parts one after another, and resolves when the server has closed. */
function visit(port: number, parts: readonly string[]): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true }, async () => {
      for (const part of parts) {
        socket.write(part)
        await new Promise((next) => setImmediate(next))
      }
    })
    // The server closes with the head unread, which resets.
    socket.on('error', () => {})
    socket.on('close', () => resolve())
    socket.resume()
  })
}

/** Closes what was reported and releases it, as a receiver does. */
function settle(rig: Rig, totals: { arrived: number; refused: number; gone: number }): void {
  totals.arrived += rig.arrivals.length
  totals.refused += rig.rejected.length
  totals.gone += rig.gone.length
  rig.batches.length = 0
  for (const { fd, flow } of rig.arrivals) {
    rig.gate.release(flow)
    closeFd(fd)
  }
  rig.arrivals.length = 0
  rig.closeReported()
}

describe('many connections', () => {
  withRig('2,000 at once, each with a whole head or half of one', {}, async (rig) => {
    const port = rig.listen()
    const clients = await Promise.all(Array.from({ length: 2000 }, () => rig.client(port)))
    const text = request('/many')
    for (const [index, client] of clients.entries()) client.write(index % 2 ? text : text.slice(0, 9))
    await until('the whole ones', () => rig.arrivals.length === 1000 && rig.gate.stats.pending === 1000)
    for (const [index, client] of clients.entries()) if (index % 2 === 0) client.write(text.slice(9))
    await until('the others', () => rig.arrivals.length === 2000)
    assert.equal(rig.rejected.length + rig.gone.length, 0)
    assert.equal(new Set(rig.arrivals.map(({ flow }) => flow.toString('hex'))).size, 2000)
    for (const arrival of rig.arrivals) assert.equal(arrival.text, text)
  })

  withRig(
    '10,000 one after another leave nothing behind',
    { maxConnectionsPerClient: 1000, maxConnections: 2000 },
    async (rig) => {
      const port = rig.listen()
      const totals = { arrived: 0, refused: 0, gone: 0 }
      const settling = setInterval(() => settle(rig, totals), 1)
      const kinds = [[request('/')], ['GET / HT', 'TP/1.1\r\nHost: a\r\n\r\n'], ['bad\r\n'], [request('/')]]
      const round = async (count: number) => {
        for (let done = 0; done < count; done += 100) {
          await Promise.all(Array.from({ length: 100 }, (_, index) => visit(port, kinds[index % 4]!)))
        }
      }
      try {
        await round(2000)
        const descriptors = openDescriptors()
        const before = memory()
        await round(8000)
        const after = memory()
        assert.equal(openDescriptors(), descriptors)
        // A hundred bytes kept per connection would show in the heap; the rest is what the allocators hold back.
        assert.ok(after.heap - before.heap < 800_000, JSON.stringify([before, after]))
        assert.ok(after.resident - before.resident < 64 * 1024 * 1024, JSON.stringify([before, after]))
      } finally {
        clearInterval(settling)
      }
      assert.deepEqual(totals, { arrived: 7500, refused: 2500, gone: 0 })
      const { pending, counted } = rig.gate.stats
      assert.deepEqual({ pending, counted }, { pending: 0, counted: 0 })
    },
  )
})
