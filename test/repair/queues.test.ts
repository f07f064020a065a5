import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { freeze, type Snapshot, thaw } from '../../src/repair/index.js'
import type { Connection } from './connection.js'
import { Crossroads } from './crossroads.js'

let world: Crossroads
before(() => {
  world = new Crossroads('btrepq', { superFrames: false })
  // Host a takes much before anybody reads; host b starts small, as hosts do.
  world.a.setSysctls({
    'net.ipv4.tcp_rmem': '4096 4194304 33554432',
    'net.ipv4.tcp_wmem': '4096 4194304 8388608',
  })
})
after(() => world.dispose())

/** The dump of a connection that goes on where it is. */
function look(connection: Connection): Snapshot {
  const snapshot = freeze(connection.server.fd)
  thaw(connection.server.fd, snapshot)
  return snapshot
}

async function until(what: string, holds: () => boolean): Promise<void> {
  for (const end = Date.now() + 10_000; !holds(); await delay(2)) assert.ok(Date.now() < end, what)
}

/** Waits until the server's kernel has taken all that the client wrote, without a look: that would lock segments out. */
async function delivered(connection: Connection): Promise<void> {
  for (const end = Date.now() + 10_000; ; await delay(5)) {
    const sockets = await world.client.sockets()
    if (sockets.every((row) => row.state !== 'ESTAB' || row.sendQueueBytes === 0)) break
    assert.ok(Date.now() < end, JSON.stringify(connection.positions()))
  }
}

async function write(connection: Connection, from: 'client' | 'server', bytes: number): Promise<void> {
  let left = bytes
  await until(`${bytes} bytes written`, () => {
    left -= connection[from].write(left)
    return left === 0
  })
}

const edge = ({ window }: Snapshot) => (window.rcvWup + window.rcvWnd) >>> 0

for (const [name, bytes] of [
  ['1 B', 1],
  ['100 KB', 100_000],
  ['1 MB', 1_000_000],
] as const) {
  test(`a receive queue of ${name} travels whole, and the window is not taken back`, async () => {
    const connection = await world.connect()
    await write(connection, 'client', bytes)
    await delivered(connection)
    const there = connection.move(world.b)
    assert.equal(there.receive.queue.length, bytes)
    const here = look(connection)
    assert.equal(here.receive.nextSequence, there.receive.nextSequence)
    assert.ok(((edge(here) - edge(there)) | 0) >= 0, 'the advertised window shrank')
    // The client may fill that window before anybody reads: not a byte of it may be thrown away.
    const before = { client: world.client.snmp(), b: world.b.snmp() }
    const room = Math.min((edge(there) - there.receive.nextSequence) | 0, 500_000)
    await write(connection, 'client', room)
    await delivered(connection)
    for (const counter of ['TcpExt.TCPRcvQDrop', 'TcpExt.TCPZeroWindowDrop', 'TcpExt.PruneCalled']) {
      assert.equal(world.b.snmp()[counter] ?? 0, before.b[counter] ?? 0, counter)
    }
    const back = connection.move(world.a)
    assert.equal(back.receive.queue.length, bytes + room)
    await connection.drain()
    await connection.pump(50_000, () => connection.server.stream.received > bytes + room + 200_000)
    await connection.drain()
    connection.destroy()
  })
}

test('a client with a zero window gets the rest when it reads, from the new host', async () => {
  const connection = await world.connect()
  for (let tries = 0; tries === 0 || look(connection).window.sndWnd > 0; tries++) {
    assert.ok(tries < 40, 'the window stays open')
    connection.server.write(1 << 20)
    await delay(250) // a window too small for a segment is filled by a probe
  }
  const there = connection.move(world.b)
  assert.equal(there.window.sndWnd, 0)
  assert.ok(there.send.unsentBytes > 0)
  assert.equal(look(connection).send.queue.length, there.send.queue.length)
  await connection.drain()
  connection.destroy()
})

test('a client that filled our window goes on when the new host reads', async () => {
  const connection = await world.connect()
  for (let blocked = 0, tries = 0; blocked < 2; tries++) {
    assert.ok(tries < 100, 'the client is never blocked')
    blocked = connection.client.write(1 << 20) === 0 ? blocked + 1 : 0
    await delay(50)
  }
  connection.move(world.b)
  await connection.drain()
  await connection.pump(20_000, () => connection.client.stream.received > 100_000)
  await connection.drain()
  connection.destroy()
})

for (const finish of ['early', 'late'] as const) {
  test(`bytes sent but not ACKed, and bytes never sent, arrive from the new host (${finish})`, async () => {
    const connection = await world.connect()
    await connection.pump(10_000, () => connection.server.stream.received > 50_000)
    await connection.drain()
    world.clientLink.lose({ toFar: 1, toNear: 0 }) // the client's ACKs get lost
    let snapshot: Snapshot
    try {
      connection.server.write(1 << 20)
      await until('something is sent', () => connection.client.read() > 0)
      snapshot = connection.move(world.b, finish)
    } finally {
      world.clientLink.restore()
    }
    const { queue, unsentBytes } = snapshot.send
    assert.ok(unsentBytes > 0 && unsentBytes < queue.length, `${unsentBytes} of ${queue.length}`)
    await connection.drain()
    await connection.pump(10_000, () => connection.server.stream.received > 150_000)
    await connection.drain()
    connection.destroy()
  })
}

test('a send queue of 1 MB travels whole', async () => {
  const connection = await world.connect()
  const { server, client } = connection
  await until('a megabyte waits', () => {
    server.write(1 << 20)
    return server.stream.sent - client.stream.received > 1_200_000
  })
  assert.ok(connection.move(world.b).send.queue.length >= 1_000_000)
  assert.ok(connection.move(world.a).send.queue.length >= 900_000)
  await connection.drain()
  connection.destroy()
})

test('a frozen connection says nothing, and a thawed one has lost nothing', async () => {
  const connection = await world.connect()
  for (let round = 0; round < 30; round++) {
    const goal = connection.server.stream.received + 30_000
    await connection.pump(40_000, () => connection.server.stream.received > goal)
    const snapshot = freeze(connection.server.fd)
    connection.client.write(20_000)
    const before = { counters: world.a.snmp(), read: connection.client.stream.received }
    await delay(3)
    while (connection.client.read() > 0); // what was under way
    assert.equal(world.a.snmp()['Tcp.OutRsts'], before.counters['Tcp.OutRsts'])
    thaw(connection.server.fd, round % 2 === 0 ? snapshot : undefined)
  }
  await connection.drain()
  connection.destroy()
})
