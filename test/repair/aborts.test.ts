import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { BatonError, type ErrorCode } from '../../src/errors/index.js'
import type { RepairStep } from '../../src/kernel/repair.js'
import { discard, freeze, restore, type Snapshot, thaw } from '../../src/repair/index.js'
import type { Connection } from './connection.js'
import { Crossroads } from './crossroads.js'

let world: Crossroads
before(async () => {
  world = new Crossroads('btrepa', { superFrames: false })
  // The first lock of a process loads a program that stays; every later descriptor would be a leak.
  const first = await world.connect()
  thaw(first.server.fd, freeze(first.server.fd))
  first.destroy()
})
after(() => world.dispose())

const descriptors = () => readdirSync('/proc/self/fd').length

/** A restore that fails, in the middle of two streams; then the giver goes on as if nothing had been. */
async function aborted(code: ErrorCode, step: RepairStep, attempt: (snapshot: Snapshot) => unknown) {
  const connection: Connection = await world.connect()
  await connection.pump(30_000, () => connection.server.stream.received > 100_000)
  connection.client.write(5_000)
  connection.server.write(200_000)
  const before = { descriptors: descriptors(), resets: resets() }
  const snapshot = freeze(connection.server.fd)
  assert.throws(
    () => attempt(snapshot),
    (error) => error instanceof BatonError && error.code === code && error.step === step,
  )
  thaw(connection.server.fd, snapshot)
  assert.equal(descriptors(), before.descriptors)
  await connection.pump(30_000, () => connection.server.stream.received > 300_000)
  await connection.drain()
  assert.equal(resets(), before.resets)
  connection.destroy()
}

const resets = () =>
  [...world.lab.hosts.values()].reduce((sum, host) => sum + (host.snmp()['Tcp.OutRsts'] ?? 0), 0)
const onB = (change: Partial<Snapshot>) => (snapshot: Snapshot) =>
  world.b.inside(() => restore({ ...snapshot, ...change }))

test('a congestion control that the host does not have', () =>
  aborted('BATON_RESTORE_CONGESTION', 'TCP_CONGESTION', (snapshot) =>
    onB({ socket: { ...snapshot.socket, congestion: 'unheard-of' } })(snapshot),
  ))

test('an impossible segment size', () => aborted('BATON_RESTORE_SNAPSHOT', 'TCP_MAXSEG', onB({ mss: 1 })))

test('a host without the VIP', () =>
  aborted('BATON_RESTORE_VIP', 'bind', (snapshot) => world.router.inside(() => restore(snapshot))))

test('a connection that the host has already', () =>
  aborted('BATON_RESTORE_TAKEN', 'connect', (snapshot) => {
    const first = world.b.inside(() => restore(snapshot, { finish: 'frozen' }))
    try {
      return onB({})(snapshot)
    } finally {
      discard(first)
    }
  }))

test('a host without a route to the client', () =>
  aborted('BATON_RESTORE_ROUTE', 'connect', (snapshot) => {
    world.b.ip(['route del default via 10.0.2.1'])
    try {
      return onB({})(snapshot)
    } finally {
      world.b.ip(['route add default via 10.0.2.1'])
    }
  }))

test('an impossible window scale', () =>
  aborted('BATON_RESTORE_SNAPSHOT', 'TCP_REPAIR_OPTIONS', (snapshot) =>
    onB({ options: { ...snapshot.options, windowScale: { send: 15, receive: 15 } } })(snapshot),
  ))

test('a window that contradicts itself, after the queues are filled', () =>
  aborted('BATON_RESTORE_SNAPSHOT', 'TCP_REPAIR_WINDOW', (snapshot) =>
    onB({ window: { ...snapshot.window, maxWindow: snapshot.window.sndWnd - 1 } })(snapshot),
  ))

test('more unsent bytes than the send queue has, or an IPv6 flow on an IPv4 socket', async () => {
  const connection = await world.connect('ipv6')
  const snapshot = freeze(connection.server.fd)
  const wrong = [
    { ...snapshot, socketFamily: 4 } as const,
    { ...snapshot, send: { ...snapshot.send, unsentBytes: 1 } },
  ]
  for (const one of wrong) assert.throws(() => restore(one), { code: 'BATON_RESTORE_SNAPSHOT' })
  thaw(connection.server.fd, snapshot)
  connection.client.write(1000)
  await connection.drain()
  connection.destroy()
})

test('a restored connection that is discarded before it went live was never there', async () => {
  const connection = await world.connect()
  connection.client.write(1000)
  connection.server.write(1000)
  const before = resets()
  const sent = world.b.snmp()['Tcp.OutSegs']
  const snapshot = freeze(connection.server.fd)
  discard(world.b.inside(() => restore(snapshot, { finish: 'frozen' })))
  thaw(connection.server.fd, snapshot)
  await connection.drain()
  assert.equal(world.b.snmp()['Tcp.OutSegs'], sent)
  assert.equal(resets(), before)
  connection.destroy()
})
