import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import type { Socket } from 'node:net'
import { after, describe } from 'node:test'
import { BatonError } from '../../src/errors/index.js'
import { closeFd } from '../../src/kernel/host.js'
import { enterNamespace, type Kept, type Rig, request, until, withRig } from './rig.js'

const leave = enterNamespace('wat')
after(leave)

const CLOSE_WAIT = '08'

/** States of the server's sockets on a port, as /proc/net/tcp has them. */
function states(port: number): string[] {
  const hex = port.toString(16).toUpperCase().padStart(4, '0')
  return readFileSync('/proc/net/tcp', 'latin1')
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter((columns) => columns[1]?.endsWith(`:${hex}`))
    .map((columns) => columns[3] ?? '')
}

/** A connection whose first head has arrived; its bytes are still unread. */
async function arrived(rig: Rig, port: number): Promise<{ client: Socket; arrival: Kept }> {
  const count = rig.arrivals.length
  const client = await rig.client(port)
  client.write(request('/first'))
  await until('the first head', () => rig.arrivals.length === count + 1)
  return { client, arrival: rig.arrivals[count]! }
}

describe('a watched connection', () => {
  withRig('is reported though its head was there before, but not from inside watch()', {}, async (rig) => {
    const { arrival } = await arrived(rig, rig.listen())
    rig.gate.watch(arrival.fd, { name: 'again', flow: arrival.flow }, 1000)
    assert.equal(rig.reports, 1)
    await until('the head again', () => rig.arrivals.length === 2)
    const [, second] = rig.arrivals
    assert.deepEqual([second?.fd, second?.listener, second?.head.path], [arrival.fd, 'again', '/first'])
    assert.equal(second?.flow, arrival.flow)
    assert.equal(rig.gate.unwatch(arrival.fd), false)
    rig.arrivals.pop()
  })

  withRig('is reported half-closed when the client has closed its side', {}, async (rig) => {
    const port = rig.listen()
    const { client, arrival } = await arrived(rig, port)
    assert.equal(arrival.halfClosed, false)
    client.end()
    await until('the FIN', () => states(port).includes(CLOSE_WAIT))
    rig.gate.watch(arrival.fd, { name: 'again', flow: arrival.flow }, 1000)
    await until('the head again', () => rig.arrivals.length === 2)
    assert.equal(rig.arrivals.pop()?.halfClosed, true)
  })

  withRig('is gone when the client closes, resets or stays silent', {}, async (rig) => {
    const port = rig.listen()
    const ends: Record<string, (client: Socket) => void> = {
      closed: (client) => client.end(),
      reset: (client) => client.resetAndDestroy(),
      timeout: () => {},
    }
    for (const [reason, end] of Object.entries(ends)) {
      const { client, fd, flow } = await silentConnection(rig, port)
      rig.gate.watch(fd, { name: 'idle', flow }, reason === 'timeout' ? 50 : 60_000)
      end(client)
      await until(reason, () => rig.gone.length === 1)
      assert.equal(rig.gone[0]?.reason, reason)
      assert.equal(rig.gone[0]?.fd, fd)
      rig.closeReported()
    }
  })

  withRig(
    'has the time of a head, not of silence, once a head has begun',
    { headTimeoutMs: 100 },
    async (rig) => {
      const { client, fd, flow } = await silentConnection(rig, rig.listen())
      rig.gate.watch(fd, { name: 'idle', flow }, 3_600_000)
      client.write('GET / HT')
      await until('the refusal', () => rig.rejected.length === 1)
      assert.equal(rig.rejected[0]?.status, 408)
    },
  )

  withRig('comes back when it is taken back, and says no more', {}, async (rig) => {
    const port = rig.listen()
    const { client, fd, flow } = await silentConnection(rig, port)
    rig.gate.watch(fd, { name: 'idle', flow }, 0)
    assert.equal(rig.gate.unwatch(fd), true)
    assert.equal(rig.gate.unwatch(fd), false)
    client.write(request('/'))
    const other = await arrived(rig, port)
    assert.equal(rig.arrivals.length, 1)
    assert.equal(other.arrival.head.path, '/first')
    closeFd(fd)
  })

  withRig('is refused twice, and when it is no connection', {}, async (rig) => {
    const port = rig.listen()
    const { fd, flow } = await silentConnection(rig, port)
    rig.gate.watch(fd, { name: 'idle', flow }, 0)
    const code = (error: unknown) => error instanceof BatonError && error.code === 'BATON_GATE_WATCH'
    assert.throws(() => rig.gate.watch(fd, { name: 'idle', flow }, 0), code)
    assert.throws(() => rig.gate.watch(999_999, { name: 'idle', flow }, 0), code)
    assert.equal(rig.gate.stats.pending, 1)
  })

  withRig('may be another one under the same number, which gets no stale report', {}, async (rig) => {
    const port = rig.listen()
    const first = await silentConnection(rig, port)
    const second = await silentConnection(rig, port)
    rig.gate.watch(first.fd, { name: 'first', flow: first.flow }, 0)
    first.client.write(request('/of-the-first'))
    rig.gate.unwatch(first.fd)
    rig.gate.watch(second.fd, { name: 'second', flow: second.flow }, 0)
    second.client.write(request('/of-the-second'))
    await until('a report', () => rig.reports > 0)
    assert.deepEqual(
      rig.arrivals.map(({ listener, head }) => [listener, head.path]),
      [['second', '/of-the-second']],
    )
    closeFd(first.fd)
  })
})

/** A connection with nothing to read, taken from the gate by a listener that takes anything. */
async function silentConnection(rig: Rig, port: number) {
  const plain = rig.gate.listen({
    name: `plain-${port}`,
    address: '127.0.0.1',
    port: 0,
    deferAcceptSeconds: 0,
    readHead: () => ({ kind: 'head', head: anyHead }),
  })
  const count = rig.arrivals.length
  const client = await rig.client(plain.port)
  await until('the connection', () => rig.arrivals.length === count + 1)
  const { fd, flow } = rig.arrivals.pop()!
  return { client, fd, flow }
}

const anyHead = {
  method: 'NONE',
  target: '*',
  path: '*',
  host: null,
  httpVersion: '1.1',
  headBytes: 0,
  contentLength: null,
  chunked: false,
  expectContinue: false,
  keepAlive: false,
  upgrade: null,
} as const
