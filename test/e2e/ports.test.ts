import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { inNetnsUntilNextTick } from '../../src/kernel/host.js'
import { changed, Deployment } from '../../src/lab/index.js'
import { deliverTo, Received, startApp, statusOf, sum } from './support.js'

const WORKERS = 20
const ROUNDS = 50

let baton: Deployment
before(async () => {
  baton = new Deployment({ prefix: 'btport', frontends: 1, backends: 1, redis: false })
  const backend = baton.net.backends[0]!
  await startApp(baton, backend, 'web-1')
  await baton.startAgent(backend, 'web-1', ['web'], deliverTo(backend))
  await baton.startFrontend(baton.net.frontends[0]!, 'front-1', {
    routes: [{ match: {}, pool: 'web' }],
    pools: { web: { backends: [{ id: 'web-1', agent: `${backend.ipv4}:7400` }] } },
    steering: { interface: 'eth0', pinPath: baton.pinPath('front-1'), lingerMs: 1000 },
  })
})
after(() => baton?.dispose())

/** One request on a connection from that port, as soon as the client's own kernel gives it out again. */
async function ask(localPort: number): Promise<string> {
  for (;;) {
    const socket = inNetnsUntilNextTick(baton.net.client.path, () =>
      connect({ host: baton.net.vip4, port: 80, localPort }),
    )
    let error: NodeJS.ErrnoException | undefined
    socket.on('error', (cause) => {
      error = cause
    })
    const received = new Received(socket)
    socket.write('GET /x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
    await received.closed
    if (error === undefined) return received.text.slice(0, 15)
    if (error.code !== 'EADDRNOTAVAIL' && error.code !== 'EADDRINUSE') return String(error.code)
    await sleep(1)
  }
}

test('ports that are used again at once meet no RST, and no flow is left behind', async () => {
  const before = baton.net.client.snmp()
  const answers: string[] = []
  const worker = async (port: number) => {
    for (let round = 0; round < ROUNDS; round++) answers.push(await ask(port))
  }
  await Promise.all(Array.from({ length: WORKERS }, (_, index) => worker(20_001 + index)))
  const seen = changed(before, baton.net.client.snmp())
  assert.deepEqual(
    answers.filter((answer) => answer !== 'HTTP/1.1 200 OK'),
    [],
  )
  assert.equal(answers.length, WORKERS * ROUNDS)
  assert.equal(seen['Tcp.AttemptFails'] ?? 0, 0)
  assert.equal(seen['Tcp.EstabResets'] ?? 0, 0)
  for (let round = 0; round < 100 && sum((await statusOf(baton)).flows) > 0; round++) await sleep(100)
  assert.deepEqual((await statusOf(baton)).flows, { live: 0, linger: 0 })
  assert.equal((await statusOf(baton)).handoffs.adopted, WORKERS * ROUNDS)
})
