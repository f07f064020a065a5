import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { changed, retransmissions } from '../../src/lab/index.js'
import type { Connection } from './connection.js'
import { Crossroads } from './crossroads.js'

let world: Crossroads
before(() => {
  world = new Crossroads('btrepi', { superFrames: false })
})
after(() => world.dispose())

const hosts = () => [world.client, world.a, world.b]

async function arrives(connection: Connection, at: 'client' | 'server', bytes: number): Promise<void> {
  const goal = connection[at].stream.received + bytes
  for (const end = Date.now() + 10_000; connection[at].stream.received < goal; await delay(1)) {
    assert.ok(Date.now() < end, `${bytes} bytes at the ${at}`)
    connection[at].read(goal - connection[at].stream.received)
  }
}

/** What no move of an idle connection may cause. */
async function withoutNoise(run: () => Promise<void>): Promise<void> {
  const before = hosts().map((host) => host.snmp())
  await run()
  for (const [index, host] of hosts().entries()) {
    const grown = changed(before[index] ?? {}, host.snmp())
    assert.equal(retransmissions(grown), 0, `${host.name}: ${JSON.stringify(grown)}`)
    for (const counter of ['Tcp.OutRsts', 'TcpExt.PAWSEstab', 'TcpExt.TCPTimeouts']) {
      assert.equal(grown[counter] ?? 0, 0, `${host.name}: ${counter} ${JSON.stringify(grown)}`)
    }
  }
}

test('a request is answered by the new host without a retransmission', async () => {
  const connection = await world.connect()
  await withoutNoise(async () => {
    connection.client.write(200)
    await delay(5)
    const snapshot = connection.move(world.b, 'early')
    assert.equal(snapshot.receive.queue.length, 200)
    assert.equal(snapshot.window.rcvWup, snapshot.receive.nextSequence)
    await arrives(connection, 'server', 200)
    for (let sent = 0; sent < 200_000; await delay(1)) {
      sent += connection.server.write(200_000 - sent)
      connection.client.read()
    }
    await connection.drain()
  })
  connection.destroy()
})

test('a request whose ACK was still owed is ACKed by the new host, however slow the answer', async () => {
  const connection = await world.connect()
  for (let round = 0; round < 20; round++) {
    connection.client.write(100)
    await arrives(connection, 'server', 100)
    connection.server.write(100)
    await arrives(connection, 'client', 100)
  }
  await delay(60)
  const probes = world.client.snmp()['TcpExt.TCPLossProbes']
  await withoutNoise(async () => {
    const sent = world.a.snmp()['Tcp.OutSegs'] ?? 0
    connection.client.write(200)
    await delay(5)
    const snapshot = connection.move(world.b, 'early')
    assert.equal(snapshot.receive.queue.length, 200)
    assert.equal(world.a.snmp()['Tcp.OutSegs'], sent + 1, 'the ACK')
    assert.equal(snapshot.window.rcvWup, snapshot.receive.nextSequence)
    await delay(500)
    assert.equal(world.client.snmp()['TcpExt.TCPLossProbes'], probes, 'the client asked again')
    await arrives(connection, 'server', 200)
    connection.server.write(1000)
    await connection.drain()
  })
  connection.destroy()
})

test('a quiet finish sends no packet', async () => {
  const connection = await world.connect()
  connection.client.write(200)
  await delay(60)
  const sent = world.b.snmp()['Tcp.OutSegs']
  connection.move(world.b, 'early')
  await delay(300)
  assert.equal(world.b.snmp()['Tcp.OutSegs'], sent)
  await connection.drain()
  connection.destroy()
})
