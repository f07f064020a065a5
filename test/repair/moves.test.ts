import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { Crossroads, type Family } from './crossroads.js'

let world: Crossroads
before(() => {
  world = new Crossroads('btrep', { superFrames: false })
})
after(() => world.dispose())

/** Moves the serving end to and fro while both ends write, and then lets everything arrive. */
async function shuttle(family: Family, moves: number, bytesBetween: number): Promise<void> {
  const connection = await world.connect(family)
  for (let index = 0; index < moves; index++) {
    const { stream } = connection.server
    const goal = { in: stream.received + bytesBetween, out: connection.client.stream.received + bytesBetween }
    const done = () => stream.received >= goal.in && connection.client.stream.received >= goal.out
    await connection.pump(40_000, done)
    connection.move(connection.at === world.a ? world.b : world.a, index % 2 === 0 ? 'late' : 'early')
  }
  await connection.drain()
  connection.destroy()
}

test('a connection moves 200 times while both ends write, and every byte arrives once', async (t) => {
  const before = performance.now()
  await shuttle('ipv4', 200, 30_000)
  t.diagnostic(`${Math.round(performance.now() - before)} ms`)
})

for (const family of ['ipv6', 'mapped'] as const) {
  test(`the same over ${family}, 40 times`, () => shuttle(family, 40, 30_000))
}

test('unread bytes may be left to the caller, except where reading them would tell the peer of a wider window', async () => {
  const connection = await world.connect('ipv4')
  let left = 0
  for (let index = 0; index < 60; index++) {
    // From little to more than the window takes: the peer then waits for its update.
    const limit = [200, 20_000, 4_000_000][index % 3]!
    const { sent } = connection.client.stream
    while (connection.client.write(limit - (connection.client.stream.sent - sent)) > 0) await delay(2)
    if (connection.moveLeaving(connection.at === world.a ? world.b : world.a)) left++
    const goal = connection.client.stream.sent
    await connection.pump(0, () => connection.server.stream.received >= goal)
  }
  assert.ok(left >= 20, `${left}`)
  assert.ok(left < 60, 'a full window is never left')
  await connection.drain()
  connection.destroy()
})

test('the same 200 times at 1 % random loss', async (t) => {
  const before = performance.now()
  world.clientLink.lose({ toFar: 0.01, toNear: 0.01 })
  try {
    await shuttle('ipv4', 200, 30_000)
  } finally {
    world.clientLink.restore()
  }
  t.diagnostic(`${Math.round(performance.now() - before)} ms`)
})

test('no host has answered with a RST', () => {
  for (const host of [world.client, world.a, world.b]) {
    assert.equal(host.snmp()['Tcp.OutRsts'], 0, host.name)
  }
})
