import assert from 'node:assert/strict'
import type { Socket } from 'node:net'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Deployment, type Host } from '../../src/lab/index.js'
import { connectFrom, deliverTo, Received, type Status, startApp, statusOf } from './support.js'

let baton: Deployment
let front: Host
let back: Host
const sockets: Socket[] = []

before(async () => {
  baton = new Deployment({ prefix: 'btaud', frontends: 1, backends: 1 })
  front = baton.net.frontends[0]!
  back = baton.net.backends[0]!
  await startApp(baton, back, 'media-1')
  await startAgent()
  await startFrontend()
})
after(() => {
  for (const socket of sockets) socket.destroy()
  return baton?.dispose()
})

const startAgent = () => baton.startAgent(back, 'media-1', ['media'], deliverTo(back))
const startFrontend = () =>
  baton.startFrontend(front, 'front-1', {
    routes: [{ match: {}, pool: 'media' }],
    pools: { media: { backends: [{ id: 'media-1', agent: `${back.ipv4}:7400` }] } },
    // Rounds come twice a second.
    steering: { interface: 'eth0', pinPath: baton.pinPath('front-1'), lingerMs: 1000, idleMs: 1000 },
  })

function open() {
  const socket = connectFrom(baton.net.client, baton.net.vip4)
  sockets.push(socket)
  const received = new Received(socket)
  const ask = async (path: string) => {
    socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`)
    await received.until(new RegExp(`"url":"${path}"[^\\n]*\\n`))
  }
  return { socket, received, ask }
}

async function until(what: string, holds: (status: Status) => boolean): Promise<void> {
  for (let round = 0; round < 150; round++) {
    if (holds(await statusOf(baton))) return
    await sleep(100)
  }
  assert.fail(`within 15 s: ${what}; ${JSON.stringify(await statusOf(baton))}`)
}

const foundOver = async () => {
  const text = await front.run('curl', ['-sSf', 'http://127.0.0.1:9900/metrics'])
  return Number(/^baton_flows_found_over_total (\d+)$/m.exec(text)?.[1])
}

test('a client that is silent for many rounds is still there, also for a frontend that was restarted meanwhile', async () => {
  const client = open()
  await client.ask('/1')
  await sleep(3000)
  await client.ask('/2')
  baton.process('front-1').kill('SIGKILL')
  await baton.process('front-1').exited
  await startFrontend()
  await sleep(3000)
  await client.ask('/3')
  assert.equal(await foundOver(), 0)
  client.socket.end()
  await client.received.closed
  await until('its flow is gone', ({ flows }) => flows.live === 0)
})

test('connections that ended with their agent while no frontend was there leave no flow behind', async () => {
  const clients = Array.from({ length: 20 }, open)
  await Promise.all(clients.map(({ ask }) => ask('/a')))
  await until('all are steered', ({ flows }) => flows.live === 20)
  for (const name of ['front-1', 'media-1']) {
    baton.process(name).kill('SIGKILL')
    await baton.process(name).exited
  }
  // The host's kernel ends them, and what it says passes through the flow table.
  for (const { socket, received } of clients) {
    await received.closed
    socket.destroy()
  }
  await startAgent()
  await startFrontend()
  assert.equal((await statusOf(baton)).handoffs.adopted, 0)
  await until('all flows are gone', ({ flows }) => flows.live === 0)
  assert.equal(await foundOver(), 20)
})
