import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { parseFlowKey } from '../../src/kernel/flow.js'
import { freeze, type Snapshot, thaw } from '../../src/repair/index.js'
import type { Connection } from './connection.js'
import { Crossroads } from './crossroads.js'

let world: Crossroads
before(() => {
  world = new Crossroads('btrepo', { superFrames: false })
})
after(() => world.dispose())

const sysctls = {
  windowScale: 'net.ipv4.tcp_window_scaling',
  sack: 'net.ipv4.tcp_sack',
  timestamps: 'net.ipv4.tcp_timestamps',
} as const
type Option = keyof typeof sysctls

function negotiated({ options }: Snapshot): Record<Option, boolean> {
  return {
    windowScale: options.windowScale !== null,
    sack: options.sack,
    timestamps: options.timestamps !== null,
  }
}

/** Moves there and back with traffic between, and compares what cannot change. */
async function moves(connection: Connection): Promise<void> {
  let first: Snapshot | undefined
  for (let index = 0; index < 8; index++) {
    const goal = connection.server.stream.received + 60_000
    await connection.pump(30_000, () => connection.server.stream.received > goal)
    const snapshot = connection.move(connection.at === world.a ? world.b : world.a)
    first ??= snapshot
    assert.deepEqual(negotiated(snapshot), negotiated(first))
    assert.deepEqual(snapshot.options.windowScale, first.options.windowScale)
    assert.equal(snapshot.mss, first.mss)
    assert.deepEqual(snapshot.socket, first.socket)
  }
  await connection.drain()
  // A host that scaled its windows unasked would seem to have next to none.
  const peer = freeze(connection.client.fd)
  thaw(connection.client.fd, peer)
  assert.ok(peer.window.sndWnd > 30_000, `${peer.window.sndWnd}`)
}

const combinations = Array.from({ length: 8 }, (_, bits) => ({
  windowScale: (bits & 1) !== 0,
  sack: (bits & 2) !== 0,
  timestamps: (bits & 4) !== 0,
}))
for (const wanted of combinations) {
  const on = Object.entries(wanted).flatMap(([name, yes]) => (yes ? [name] : []))
  test(`a connection with ${on.join(', ') || 'no options'} keeps exactly these`, async () => {
    const entries = Object.entries(wanted).map(([name, yes]) => [sysctls[name as Option], yes ? 1 : 0])
    world.client.setSysctls(Object.fromEntries(entries))
    const connection = await world.connect()
    const snapshot = freeze(connection.server.fd)
    thaw(connection.server.fd)
    assert.deepEqual(negotiated(snapshot), wanted)
    await moves(connection)
    connection.destroy()
  })
}

test('a host whose own connections have no options takes one that has all', async () => {
  for (const name of Object.values(sysctls)) world.client.setSysctls({ [name]: 1 })
  const connection = await world.connect()
  try {
    for (const name of Object.values(sysctls)) world.b.setSysctls({ [name]: 0 })
    await moves(connection)
  } finally {
    for (const name of Object.values(sysctls)) world.b.setSysctls({ [name]: 1 })
  }
  connection.destroy()
})

test('timestamps never go back, and the client drops nothing for their sake', async () => {
  const connection = await world.connect()
  const before = world.client.snmp()['TcpExt.PAWSEstab']
  let last: number | undefined
  for (let index = 0; index < 10; index++) {
    connection.client.write(100)
    connection.server.write(100)
    await connection.drain()
    const { options } = connection.move(connection.at === world.a ? world.b : world.a)
    assert.ok(options.timestamps !== null && !options.timestamps.microseconds)
    if (last !== undefined) assert.ok(((options.timestamps.value - last) | 0) >= 0)
    last = options.timestamps.value
  }
  assert.equal(world.client.snmp()['TcpExt.PAWSEstab'], before)
  connection.destroy()
})

test('a microsecond clock stays one', async () => {
  const connection = await world.connect()
  connection.remake((snapshot) => ({
    ...snapshot,
    options: { ...snapshot.options, timestamps: { value: 1_000_000, microseconds: true } },
  }))
  for (let index = 0; index < 6; index++) {
    const goal = connection.server.stream.received + 60_000
    await connection.pump(30_000, () => connection.server.stream.received > goal)
    const { options } = connection.move(connection.at === world.a ? world.b : world.a)
    assert.equal(options.timestamps?.microseconds, true)
    assert.equal((options.timestamps?.value ?? 1) & 1, 0)
  }
  await connection.drain()
  connection.destroy()
})

test('sequence numbers may wrap in every queue and window', async () => {
  const connection = await world.connect()
  const start = 2 ** 32 - 150_000
  connection.remake((snapshot, end) => {
    const [receive, send] = end === 'client' ? [start + 7, start] : [start, start + 7]
    const shift = (sequence: number) => (sequence - snapshot.receive.nextSequence + receive) >>> 0
    return {
      ...snapshot,
      receive: { ...snapshot.receive, nextSequence: receive },
      send: { ...snapshot.send, writeSequence: send },
      window: {
        ...snapshot.window,
        sndWl1: shift(snapshot.window.sndWl1),
        rcvWup: shift(snapshot.window.rcvWup),
      },
    }
  })
  const seen: Snapshot[] = []
  for (let index = 0; index < 30; index++) {
    const goal = connection.server.stream.received + 10_000
    await connection.pump(10_000, () => connection.server.stream.received >= goal)
    connection.client.write(5_000) // something unread, too
    connection.server.write(5_000)
    seen.push(
      connection.move(connection.at === world.a ? world.b : world.a, index % 2 === 0 ? 'late' : 'early'),
    )
  }
  await connection.drain()
  assert.ok(seen.some(({ receive }) => receive.nextSequence > start))
  assert.ok(
    seen.some(({ receive }) => receive.nextSequence < 200_000),
    'the receive sequence has wrapped',
  )
  assert.ok(
    seen.some(({ send }) => send.writeSequence < 200_000),
    'the send sequence has wrapped',
  )
  connection.destroy()
})

for (const [family, mss] of [
  ['ipv4', 1448],
  ['ipv6', 1428],
  ['mapped', 1448],
] as const) {
  test(`segments of ${mss} bytes leave the new host over ${family}`, async () => {
    const connection = await world.connect(family)
    const snapshot = connection.move(world.b)
    assert.equal(snapshot.socketFamily, family === 'ipv4' ? 4 : 6)
    assert.equal(connection.server.write(8 * mss), 8 * mss)
    await connection.drain()
    const { vip } = parseFlowKey(snapshot.flow)
    const [socket] = await world.b.sockets(`sport = :${vip.port}`)
    const details = socket?.details ?? ''
    const count = (name: string) => Number(new RegExp(` ${name}:(\\d+) `).exec(details)?.[1])
    assert.equal(count('mss'), mss)
    assert.ok(count('data_segs_out') >= 8, details)
    assert.equal(count('bytes_sent') / count('data_segs_out'), mss) // a tail loss probe counts in both
    connection.destroy()
  })
}

test('socket options travel, and the kernel agrees', async () => {
  const connection = await world.connect()
  const socket = {
    congestion: 'reno',
    noDelay: true,
    keepAlive: { idle: 77, interval: 7, count: 3 },
    userTimeoutMs: 12_345,
    tos: 0x28,
    mark: 0x2a,
  }
  connection.remake((snapshot, end) => (end === 'server' ? { ...snapshot, socket } : snapshot))
  const snapshot = connection.move(world.b)
  assert.deepEqual(snapshot.socket, socket)
  const shown = await world.b.run('ss', ['-Htnioe', '--tos'])
  for (const text of ['timer:(keepalive,1min', 'tos:0x28', 'fwmark:0x2a', ' reno ']) {
    assert.ok(shown.includes(text), `${text} in ${shown}`)
  }
  assert.deepEqual(connection.move(world.a).socket, socket)
  connection.destroy()
})
