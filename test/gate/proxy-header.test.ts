import assert from 'node:assert/strict'
import { connect, type Socket } from 'node:net'
import { after, afterEach, before, describe, test } from 'node:test'
import {
  type Arrival,
  Gate,
  type NoHead,
  type Rejected,
  type RequestHead,
  readNothing,
} from '../../src/gate/index.js'
import { endpointText, parseFlowKey } from '../../src/kernel/flow.js'
import { closeFd } from '../../src/kernel/host.js'
import { block, ipv4Addresses, ipv6Addresses, tlv } from '../proxy-protocol/headers.js'
import { enterNamespace, until } from './rig.js'

let leave: () => void
before(() => {
  leave = enterNamespace('proxy')
})
after(() => leave())

const undo: (() => void)[] = []
afterEach(() => {
  for (const one of undo.splice(0)) one()
})

const request = 'GET /a HTTP/1.1\r\nHost: a.example\r\n\r\n'
const line = 'PROXY TCP4 192.0.2.1 10.0.0.100 56324 443\r\n'
const claim = '192.0.2.1:56324'

/** A gate that expects the header from 127.0.0.1 alone, and sockets to read what it left in the queues. */
function start(options: { head?: 'none'; limits?: object } = {}) {
  const arrivals: Arrival<RequestHead | NoHead>[] = []
  const rejected: Rejected[] = []
  const gone: string[] = []
  const gate = new Gate<NoHead>({
    limits: { headTimeoutMs: 5000, ...options.limits },
    onArrivals: (some) => arrivals.push(...some),
    onRejected: (some) => {
      rejected.push(...some)
      for (const { fd } of some) closeFd(fd)
    },
    onGone: (some) => {
      gone.push(...some.map(({ reason }) => reason))
      for (const { fd } of some) closeFd(fd)
    },
  })
  const proxyFrom = [{ address: '127.0.0.1', bits: 32 }]
  const reader = options.head === 'none' ? { readHead: readNothing } : {}
  const { port } = gate.listen({ name: 'web', address: '127.0.0.1', port: 0, proxyFrom, ...reader })
  undo.push(() => {
    for (const { fd } of arrivals) closeFd(fd)
    gate.destroy()
  })
  return { gate, arrivals, rejected, gone, port }
}

function client(port: number, localAddress = '127.0.0.1'): Socket {
  const socket = connect({ port, host: '127.0.0.1', localAddress, noDelay: true })
  socket.on('error', () => undefined)
  undo.push(() => socket.destroy())
  return socket
}

const clientOf = ({ claimed }: { claimed: Buffer | null }) =>
  claimed === null ? null : endpointText(parseFlowKey(claimed).client)

/** What is left in the receive queue. */
async function unread(gate: Gate<NoHead>, arrival: Arrival<RequestHead | NoHead>): Promise<string> {
  // Another look, by the gate itself: the same bytes again, and whatever was taken out is missing.
  const seen: string[] = []
  const other = new Gate<NoHead>({
    onArrivals: (some) => {
      for (const { bytes } of some) seen.push(bytes.toString('latin1'))
    },
    onRejected: (some) => {
      for (const { detail } of some) seen.push(detail)
    },
  })
  other.watch(arrival.fd, { name: 'again', flow: arrival.flow, readHead: readNothing }, 5000)
  await until('a second look', () => seen.length > 0)
  other.destroy()
  gate.release(arrival.flow)
  return seen[0] ?? ''
}

describe('a listener behind a balancer', () => {
  test('takes the header out, of either version, and leaves the head where it is', async () => {
    for (const [header, client4] of [
      [Buffer.from(line), claim],
      [block(0x21, 0x11, ipv4Addresses, tlv(2, 'x'.repeat(300))), claim],
      [block(0x21, 0x21, ipv6Addresses), '[2001:db8::1]:56324'],
      [block(0x20, 0x00), null],
      [Buffer.from('PROXY UNKNOWN\r\n'), null],
    ] as const) {
      const { gate, arrivals, port } = start()
      client(port).write(Buffer.concat([header, Buffer.from(request)]))
      await until('an arrival', () => arrivals.length === 1)
      const arrival = arrivals[0]!
      assert.equal(clientOf(arrival), client4)
      assert.equal(arrival.queuedBytes, request.length)
      assert.equal(endpointText(parseFlowKey(arrival.flow).vip), `127.0.0.1:${port}`)
      assert.ok('path' in arrival.head && arrival.head.path === '/a')
      assert.equal(await unread(gate, arrival), request)
    }
  })

  test('split at every byte, also inside the head', async () => {
    const header = block(0x21, 0x11, ipv4Addresses)
    const all = Buffer.concat([header, Buffer.from(request)])
    const { gate, arrivals, port } = start()
    for (let at = 1; at < all.length; at++) {
      const socket = client(port)
      socket.write(all.subarray(0, at))
      await until('a first look', () => gate.stats.pending === 1)
      socket.write(all.subarray(at))
      await until('an arrival', () => arrivals.length === at)
      const arrival = arrivals[at - 1]!
      assert.equal(clientOf(arrival), claim)
      assert.equal(arrival.queuedBytes, request.length, `split at ${at}`)
      gate.release(arrival.flow)
      socket.destroy()
    }
    assert.equal(await unread(gate, arrivals.at(-1)!), request)
  })

  test('a head that fills the whole look is seen although the header stood before it', async () => {
    const { arrivals, rejected, port } = start({ limits: { headBytes: 512 } })
    const long = `GET /a HTTP/1.1\r\nHost: a.example\r\nX: ${'x'.repeat(450)}\r\n\r\n`
    assert.ok(long.length < 512 && long.length + line.length > 512)
    client(port).write(line + long)
    await until('an arrival', () => arrivals.length === 1)
    // The same, with the header's last byte in the segment of the head.
    const socket = client(port)
    socket.write(line.slice(0, -1))
    await new Promise((resolve) => setTimeout(resolve, 50))
    socket.write(`\n${long}`)
    await until('another', () => arrivals.length === 2)
    assert.deepEqual(rejected, [])
    for (const { queuedBytes } of arrivals) assert.equal(queuedBytes, long.length)
  })

  test('where the server speaks first the header is waited for, and nothing else', async () => {
    const { arrivals, port } = start({ head: 'none' })
    client(port).write(line)
    await until('an arrival', () => arrivals.length === 1)
    assert.equal(clientOf(arrivals[0]!), claim)
    assert.equal(arrivals[0]?.queuedBytes, 0)
    client(port).write(`${line}hello`)
    await until('another', () => arrivals.length === 2)
    assert.equal(arrivals[1]?.queuedBytes, 5)
  })

  test('no header, a bad one, half of one, none in time: rejected with its code, and counted no more', async () => {
    const { gate, rejected, gone, port } = start({ limits: { headTimeoutMs: 1500 } })
    const cases: [sent: string, fin: boolean, code: string][] = [
      [request, false, 'BATON_PROXY_MISSING'],
      ['PROXY TCP4 a b 1 2\r\n', false, 'BATON_PROXY_V1'],
      [block(0x21, 0x41).toString('latin1'), false, 'BATON_PROXY_V2'],
      ['PROXY TCP4 ', true, 'BATON_PROXY_CUT'],
      ['PROXY TCP4 ', false, 'BATON_PROXY_TIMEOUT'],
      // The header was there: what is wrong then is the request's.
      [`${line}nonsense\r\n`, false, 'BATON_GATE_METHOD'],
    ]
    for (const [index, [sent, fin]] of cases.entries()) {
      const socket = client(port)
      socket.write(Buffer.from(sent, 'latin1'))
      if (fin) socket.end()
      await until('a rejection', () => rejected.length === index + 1)
    }
    assert.deepEqual(
      rejected.map(({ code }) => code),
      cases.map(([, , code]) => code),
    )
    assert.deepEqual(rejected.map(clientOf), [null, null, null, null, null, claim])
    client(port).end(line)
    await until('one that asked nothing', () => gone.length === 1)
    assert.deepEqual(gone, ['closed'])
    assert.equal(gate.stats.counted, 0)
  })

  test('who is not trusted is turned away unread, header or not', async () => {
    const { gate, rejected, port } = start()
    for (const sent of [line + request, request]) client(port, '127.0.0.2').write(sent)
    await until('both', () => rejected.length === 2)
    for (const { code } of rejected) assert.equal(code, 'BATON_PROXY_UNTRUSTED')
    assert.equal(gate.stats.counted, 0)
  })

  test('a limit per client counts the clients, not the balancer', async () => {
    const { gate, arrivals, rejected, port } = start({ limits: { maxConnectionsPerClient: 1 } })
    for (const address of ['192.0.2.1', '192.0.2.2', '192.0.2.1', '192.0.2.3']) {
      client(port).write(`PROXY TCP4 ${address} 10.0.0.100 1 443\r\n${request}`)
    }
    await until('all', () => arrivals.length + rejected.length === 4)
    assert.deepEqual(arrivals.map(clientOf).sort(), ['192.0.2.1:1', '192.0.2.2:1', '192.0.2.3:1'])
    assert.deepEqual(
      rejected.map((one) => [one.code, clientOf(one)]),
      [['BATON_GATE_CLIENT_FULL', '192.0.2.1:1']],
    )
    assert.equal(gate.stats.counted, 3)
    for (const { flow } of arrivals) gate.release(flow)
    assert.equal(gate.stats.counted, 0)
    client(port).write(`PROXY TCP4 192.0.2.1 10.0.0.100 1 443\r\n${request}`)
    await until('one more', () => arrivals.length === 4)
  })
})
