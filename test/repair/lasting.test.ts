import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { parseFlowKey } from '../../src/kernel/flow.js'
import { closeFd } from '../../src/kernel/host.js'
import { discard, freeze, restore, thaw } from '../../src/repair/index.js'
import { Crossroads } from './crossroads.js'

let world: Crossroads
before(() => {
  world = new Crossroads('btrepl', { superFrames: false })
})
after(() => world.dispose())

test('a listener can start again beside restored and thawed connections', async () => {
  for (const family of ['ipv4', 'ipv6', 'mapped'] as const) {
    const connection = await world.connect(family)
    const { vip } = parseFlowKey(connection.move(world.b).flow)
    for (const host of [world.b, world.a, world.b]) {
      if (connection.at !== host) connection.move(host, 'early')
      for (let round = 0; round < 2; round++) {
        const listener = await world.listen(host, family, vip.port)
        await new Promise((resolve) => listener.close(resolve))
      }
    }
    connection.server.write(1000)
    connection.client.write(1000)
    await connection.drain()
    connection.destroy()
  }
})

test('10,000 moves on one host leave nothing behind, and the flow is the same when it is looked up', async () => {
  const connection = await world.connect()
  connection.client.write(200)
  await connection.pump(0, () => true)
  const open = () => readdirSync('/proc/self/fd').length
  const inUse = () => {
    const text = world.a.inside(() => readFileSync('/proc/thread-self/net/sockstat', 'utf8'))
    return Number(/^TCP: inuse (\d+) /m.exec(text)?.[1])
  }
  let snapshot = freeze(connection.server.fd)
  const known = snapshot.flow
  thaw(connection.server.fd, snapshot)
  const before = { open: open(), inUse: inUse() }
  let fd = -1
  world.a.inside(() => {
    for (let round = 0; round < 10_000; round++) {
      snapshot = round === 0 ? freeze(connection.server.fd) : freeze(fd, round % 2 === 0 ? known : undefined)
      if (round === 0) connection.server.close()
      else discard(fd)
      assert.deepEqual(snapshot.flow, known)
      fd = restore(snapshot)
    }
  })
  assert.equal(snapshot.receive.queue.length, 200)
  // Fewer is possible: what earlier tests closed goes away by and by.
  assert.ok(open() <= before.open, `${before.open} descriptors, then ${open()}`)
  assert.ok(inUse() <= before.inUse, `${before.inUse} sockets, then ${inUse()}`)
  connection.server = connection.server.on(fd)
  connection.server.write(1000)
  await connection.drain()
  connection.destroy()
})

test('a restored descriptor is non-blocking and closed on exec', async () => {
  const connection = await world.connect()
  const snapshot = freeze(connection.server.fd)
  const fd = world.b.inside(() => restore(snapshot))
  const flags = /flags:\t0*(\d+)/.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))?.[1]
  const value = Number.parseInt(flags ?? '0', 8)
  assert.equal(value & 0o4000, 0o4000, 'O_NONBLOCK')
  assert.equal(value & 0o2000000, 0o2000000, 'O_CLOEXEC')
  closeFd(fd)
  connection.destroy()
})
