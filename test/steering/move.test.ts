import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { createServer } from 'node:http'
import { Socket } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Arrival, Gate } from '../../src/gate/index.js'
import { standardAddresses, standardTopology } from '../../src/lab/index.js'
import { discard, freeze, restore, thaw } from '../../src/repair/index.js'
import { openSteering, type Steering } from '../../src/steering/index.js'

const mebibyte = 1 << 20
const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')
/** Not periodic in the segment size. */
const pattern = (bytes: number) =>
  Buffer.from(Uint32Array.from({ length: bytes / 4 }, (_, index) => Math.imul(index, 2_654_435_761)).buffer)

for (const attach of ['tcx', 'clsact'] as const) {
  describe(`a real connection (${attach})`, () => {
    const net = standardTopology({ prefix: 'btmove', frontends: 1, backends: 1 })
    const frontend = net.active
    const backend = net.backends[0]!
    const pinPath = `/sys/fs/bpf/${net.lab.name}`
    const nextHops = { 4: backend.ipv4, 6: backend.ipv6 }
    const block = pattern(8 * mebibyte)
    const numbered = Buffer.from(
      Array.from({ length: 60 }, (_, index) => String(index + 1).padStart(16_000, '0')).join(''),
    )
    const sent = pattern(16 * mebibyte)
    let steering: Steering
    let gate: Gate
    let port: number
    let rounds = 0
    const failures: unknown[] = []
    const server = createServer((request, response) => {
      const hash = createHash('sha256')
      request.on('data', (chunk: Buffer) => hash.update(chunk))
      request.on('end', () => response.end(request.method === 'GET' ? sent : hash.digest('hex')))
    })

    /** Freezes, lets the client's packets pile up for a while, moves back and forth between here and frozen, and moves. */
    async function move({ fd, flow }: Arrival): Promise<void> {
      const nextHop = flow[0] === 0 ? nextHops[4] : nextHops[6]
      const entry = { key: Buffer.from(flow), id: 1, nextHop }
      for (let round = 0; round < rounds; round++) {
        steering.park([entry])
        freeze(fd)
        await sleep(3)
        thaw(fd)
        steering.unpark([entry.key])
        await sleep(3)
      }
      steering.park([entry])
      const snapshot = freeze(fd, entry.key)
      await sleep(3)
      const restored = backend.inside(() => restore(snapshot))
      steering.steer([entry])
      discard(fd)
      server.emit('connection', new Socket({ fd: restored, readable: true, writable: true }))
    }

    before(() => {
      // Room for all pieces while nobody reads.
      frontend.setSysctls({ 'net.ipv4.tcp_rmem': '4096 6291456 6291456' })
      steering = frontend.inside(() => openSteering({ pinPath, interface: 'eth0', maxFlows: 1000, attach }))
      gate = new Gate({
        onArrivals: (arrivals) => {
          for (const arrival of arrivals) move(arrival).catch((error: unknown) => failures.push(error))
        },
        onRejected: (rejected) => failures.push(...rejected),
        onGone: (gone) => failures.push(gone),
      })
      port = frontend.inside(() => gate.listen({ name: 'web', address: net.vip4, port: 0 })).port
      frontend.inside(() => gate.listen({ name: 'web6', address: net.vip6, port }))
    })
    after(async () => {
      server.closeAllConnections()
      gate.destroy()
      frontend.inside(() => steering.detach())
      await net.dispose()
    })

    for (const [family, vip] of [
      ['IPv4', standardAddresses.vip4],
      ['IPv6', `[${standardAddresses.vip6}]`],
    ] as const) {
      test(`downloads from the backend straight, and only its ACKs pass here (${family})`, async () => {
        rounds = 0
        const before = { ...frontend.counters(), packets: steering.stats().steeredPackets }
        const body = await net.client.exec(
          'bash',
          ['-c', `curl -sS -m 20 http://${vip}:${port}/ | sha256sum`],
          {},
        )
        assert.equal(body.stdout.slice(0, 64), sha256(sent), body.stderr)
        const after = frontend.counters()
        assert.ok(after.txBytes - before.txBytes < sent.length / 10, 'the body did not cross the frontend')
        assert.ok(steering.stats().steeredPackets > before.packets)
        assert.deepEqual(failures, [])
      })

      test(`uploads whole while it is parked, given back and moved (${family})`, async () => {
        rounds = 5
        const before = { frontend: frontend.snmp(), backend: backend.snmp() }
        const { playedFrames } = steering.stats()
        // Pieces first, so that there is always one under way: super-frames, which are parked as segments.
        const pieces = "for i in {1..60}; do printf '%016000d' $i; sleep 0.001; done"
        const upload = `curl -sS -m 20 -H Expect: -T - http://${vip}:${port}/`
        const done = await net.client.exec('bash', ['-c', `{ ${pieces}; cat; } | ${upload}`], {
          input: block,
        })
        assert.equal(done.stdout, sha256(Buffer.concat([numbered, block])), done.stderr)
        assert.deepEqual(failures, [])
        assert.ok(steering.stats().playedFrames > playedFrames, 'frames were parked and played back')
        assert.equal(steering.stats().parkedDropped, 0)
        for (const name of ['Tcp.OutRsts', 'Tcp.InCsumErrors', 'Ip.InHdrErrors']) {
          assert.equal(frontend.snmp()[name], before.frontend[name], `frontend ${name}`)
          assert.equal(backend.snmp()[name], before.backend[name], `backend ${name}`)
        }
      })
    }
  })
}
