import assert from 'node:assert/strict'
import net, { type AddressInfo } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { type AdoptDevice, openAdoptDevice } from '../../src/backend-agent/adopt-device.js'
import { failures } from '../../src/backend-agent/adopt-layout.js'
import { missedEndings } from '../../src/backend-agent/adopt-offer.js'
import { segmentFrame } from '../../src/backend-agent/adopt-segments.js'
import { AdoptTable } from '../../src/backend-agent/adopt-table.js'
import { addressBytes, type FlowKey, flowKey } from '../../src/kernel/flow.js'
import type { Snapshot } from '../../src/repair/index.js'
import { settle } from './session-harness.js'
import { output, Stage } from './stage.js'

const stage = new Stage('btads')
const FIN = 0x01
const SYN = 0x02
const RST = 0x04
const ACK = 0x10
const first = Buffer.from('hello')
const accepted: net.Socket[] = []
/** By the client's port. */
const heard = new Map<number, string>()
const server = net.createServer((socket) => {
  accepted.push(socket)
  const from = socket.remotePort ?? 0
  socket.on('data', (chunk) => heard.set(from, (heard.get(from) ?? '') + chunk.toString('latin1')))
  socket.on('error', () => undefined)
})
let table: AdoptTable
let device: AdoptDevice
let port = 0
let clientPort = 41_000
/** Numbers of the handoffs whose ends were told. */
const ended: number[] = []

before(async () => {
  stage.back.ip(['addr add 10.9.0.1/32 dev lo', 'addr add fd09::1/128 dev lo nodad'])
  await new Promise<void>((resolve) => server.listen({ port: 0, host: '::' }, resolve))
  port = (server.address() as AddressInfo).port
  const logger = { info() {}, warn() {} }
  table = new AdoptTable({
    id: 'btads',
    epoch: 1,
    logger: logger as never,
    onEnd: (_, { id }) => ended.push(id),
  })
  table.resume()
  device = openAdoptDevice('btads', table.programs.playback)
})

after(() => {
  for (const socket of accepted) socket.destroy()
  server.close()
  device?.close()
  table?.detach()
})

/** A connection that the table expects, of a client that is not there: its route leads into the dark. */
function expected(version: 4 | 6, listener = port) {
  const flow = flowKey({
    client: { address: version === 4 ? '10.5.0.1' : 'fd05::1', port: clientPort++ },
    vip: { address: version === 4 ? '10.9.0.1' : 'fd09::1', port: 80 },
  })
  const snapshot: Snapshot = {
    flow,
    socketFamily: version,
    // Around the end of the sequence space.
    receive: { nextSequence: 2, queue: first },
    send: { writeSequence: 0xffff_fff0, queue: Buffer.alloc(0), unsentBytes: 0 },
    window: { sndWl1: 2, sndWnd: 65_535, maxWindow: 65_535, rcvWnd: 65_535, rcvWup: 2 },
    mss: 1300,
    options: { sack: true, windowScale: { send: 7, receive: 7 }, timestamps: null },
    socket: { congestion: 'cubic', noDelay: true, keepAlive: null, userTimeoutMs: 0, tos: 0, mark: 0 },
  }
  const address = addressBytes(version === 4 ? '127.0.0.1' : '::1')
  table.expect(flow, { notes: notesOf(flow), snapshot, address, port: listener, clock: 0 })
  return flow
}

const notesOf = (flow: FlowKey) => ({
  id: flow.readUInt16BE(32),
  frontendId: 'front-1',
  giverEpoch: 1,
  context: Buffer.alloc(0),
})

const START = 0xffff_fffd

function frame(
  flow: FlowKey,
  changes: { sequence?: number; ack?: number; flags?: number; payload?: Buffer },
) {
  return segmentFrame({
    flow,
    sequence: changes.sequence ?? START,
    acknowledgement: changes.ack ?? 0xffff_fff0,
    window: 512,
    payload: changes.payload ?? first,
    ...(changes.flags === undefined ? {} : { flags: changes.flags }),
  })
}

function corrupted(good: Buffer, at: number): Buffer {
  const bad = Buffer.from(good)
  bad[at] = (bad[at] ?? 0) ^ 0x40
  return bad
}

/** What the back host sent to anybody, and the sockets that it has of the flow. */
const traces = (flow: FlowKey) => ({
  resets: stage.back.snmp()['Tcp.OutRsts'],
  sockets: output('ss', '-Htan', 'dport', '=', String(flow.readUInt16BE(32))).trim(),
})

for (const version of [4, 6] as const) {
  describe(`IPv${version}`, () => {
    test('nothing but the very segment that is expected makes a connection, and nobody is answered', async () => {
      const flow = expected(version)
      const other = Buffer.from(flow)
      other.writeUInt16BE(flow.readUInt16BE(32) + 5000, 32)
      const before = traces(flow)
      const good = frame(flow, {})
      const tcpAt = version === 4 ? 34 : 54
      const forged: [string, Buffer][] = [
        ['another client', frame(other, {})],
        ['a sequence below', frame(flow, { sequence: START - 1 })],
        ['a sequence above', frame(flow, { sequence: START + 1 })],
        ['another acknowledgement', frame(flow, { ack: 0xffff_fff1 })],
        ['what follows it, first', frame(flow, { sequence: 2, payload: Buffer.from('later') })],
        ['a SYN', frame(flow, { flags: SYN, payload: Buffer.alloc(0) })],
        ['a SYN with ACK', frame(flow, { flags: SYN | ACK, payload: Buffer.alloc(0) })],
        ['a reset', frame(flow, { flags: RST, payload: Buffer.alloc(0) })],
        ['a FIN', frame(flow, { flags: FIN | ACK })],
        ['no ACK', frame(flow, { flags: 0 })],
        ['UDP', corrupted(good, version === 4 ? 23 : 20)],
        ['no IP', corrupted(good, 12)],
        ['cut short', good.subarray(0, tcpAt + 10)],
      ]
      for (const [what, bad] of forged) {
        device.play([bad])
        assert.equal(table.birthOf(flow)?.state, 'expected', what)
      }
      assert.deepEqual(traces(flow), before)
      const count = accepted.length
      device.play([good])
      assert.equal(table.birthOf(flow)?.state, 'born')
      await settle(() => accepted.length === count + 1)
    })

    test('a segment that comes twice, late, or out of order makes no second connection and no second byte', async () => {
      const flow = expected(version)
      const count = accepted.length
      const port = flow.readUInt16BE(32)
      const later = frame(flow, { sequence: 2, payload: Buffer.from(' world') })
      const last = frame(flow, { sequence: 8, payload: Buffer.from('.') })
      device.play([frame(flow, {}), frame(flow, {}), last, later, later, frame(flow, {}), last])
      await settle(() => heard.get(port) === 'hello world.')
      device.play([frame(flow, {}), later, last])
      assert.equal(accepted.length, count + 1)
      assert.equal(table.programs.progress(frame(flow, { payload: Buffer.alloc(0) })), 12)
      await settle(() => heard.get(port) === 'hello world.')
      assert.equal(accepted[count]?.remotePort, port)
    })

    test('a checksum that is wrong makes no connection', () => {
      const flow = expected(version)
      const count = accepted.length
      const good = frame(flow, {})
      device.play([corrupted(good, good.length - 1)])
      assert.notEqual(table.birthOf(flow)?.state, 'born')
      assert.equal(accepted.length, count)
      table.forget(flow)
      // Nor does the right one, once nobody expects it any more.
      device.play([good])
      assert.equal(table.birthOf(flow), undefined)
      assert.equal(traces(flow).sockets, '')
    })

    test('a connection that lives here is not made twice', async () => {
      const flow = expected(version)
      device.play([frame(flow, {})])
      assert.equal(table.birthOf(flow)?.state, 'born')
      await settle(() => accepted.some(({ remotePort }) => remotePort === flow.readUInt16BE(32)))
      const count = accepted.length
      table.forget(flow)
      const again = expectedAgain(flow, version)
      device.play([frame(again, {})])
      assert.deepEqual(
        [table.birthOf(again)?.state, table.birthOf(again)?.failure],
        ['expected', failures.inUse],
      )
      assert.equal(accepted.length, count)
    })
  })
}

/** The same flow once more. */
function expectedAgain(flow: FlowKey, version: 4 | 6): FlowKey {
  clientPort = flow.readUInt16BE(32)
  const again = expected(version)
  assert.ok(again.equals(flow))
  return again
}

test('more ends at once than the ring buffer has room for: each is told, and once', async () => {
  stage.back.setSysctls({ 'net.core.somaxconn': 8192 })
  const sockets = new Set<net.Socket>()
  const crowded = net.createServer((socket) => sockets.add(socket.on('error', () => undefined).resume()))
  await new Promise<void>((resolve) => crowded.listen({ port: 0, host: '::', backlog: 8192 }, resolve))
  const listener = (crowded.address() as AddressInfo).port
  const told = ended.length
  clientPort = 50_000
  // In one turn of the loop: nobody reads meanwhile.
  const flows = Array.from({ length: 4000 }, () => {
    const flow = expected(4, listener)
    device.play([frame(flow, {})])
    assert.equal(table.birthOf(flow)?.state, 'born')
    table.born(flow, notesOf(flow))
    return flow
  })
  const reset = { sequence: 2, flags: RST | ACK, payload: Buffer.alloc(0) }
  device.play(flows.map((flow) => frame(flow, reset)))
  await settle(() => ended.length >= told + flows.length)
  assert.deepEqual(
    ended.slice(told).sort((one, other) => one - other),
    flows.map((flow) => flow.readUInt16BE(32)),
  )
  assert.ok(missedEndings(table.programs.offer) > 0)
  assert.equal(table.active, 0)
  crowded.close()
  for (const socket of sockets) socket.destroy()
})
