import type { Message } from '../../src/handoff/index.js'
import { flowKey } from '../../src/kernel/flow.js'
import type { Snapshot } from '../../src/repair/index.js'

type Of<T extends Message['type']> = Extract<Message, { type: T }>

const flow4 = flowKey({
  client: { address: '192.0.2.7', port: 40001 },
  vip: { address: '10.0.0.100', port: 80 },
})
const flow6 = flowKey({
  client: { address: '2001:db8::7', port: 40001 },
  vip: { address: 'fd00::100', port: 443 },
})

/** A connection that has received a request and sent nothing, as nearly all are at their first handoff. */
export const plainSnapshot: Snapshot = {
  flow: flow4,
  socketFamily: 4,
  receive: { nextSequence: 0x01020304, queue: Buffer.from('GET / HTTP/1.1\r\n\r\n') },
  send: { writeSequence: 0xfffffffe, queue: Buffer.alloc(0), unsentBytes: 0 },
  window: { sndWl1: 1, sndWnd: 64256, maxWindow: 64256, rcvWnd: 65535, rcvWup: 0x010202f2 },
  mss: 1460,
  options: {
    sack: true,
    windowScale: { send: 7, receive: 10 },
    timestamps: { value: 0xdeadbeef, microseconds: false },
  },
  socket: { congestion: 'cubic', noDelay: false, keepAlive: null, userTimeoutMs: 0, tos: 0, mark: 0 },
}

/** Everything the other way round: IPv6, both queues, nothing negotiated, every socket option set. */
export const fullSnapshot: Snapshot = {
  flow: flow6,
  socketFamily: 6,
  receive: { nextSequence: 0, queue: Buffer.from([0xff]) },
  send: { writeSequence: 9, queue: Buffer.from('sent,unsent'), unsentBytes: 6 },
  window: { sndWl1: 0xffffffff, sndWnd: 0, maxWindow: 1, rcvWnd: 2, rcvWup: 3 },
  mss: 65535,
  options: { sack: false, windowScale: null, timestamps: null },
  socket: {
    congestion: 'bbr',
    noDelay: true,
    keepAlive: { idle: 7200, interval: 75, count: 9 },
    userTimeoutMs: 30_000,
    tos: 0x10,
    mark: 0x7b,
  },
}

export const hello: Of<'hello'> = {
  type: 'hello',
  minVersion: 1,
  maxVersion: 1,
  role: 'agent',
  id: 'media-1',
  epoch: 0x1122334455667,
  steerTo: { ipv4: '10.0.0.11', ipv6: 'fd00::11' },
  pools: ['media', 'web'],
  capacity: 4096,
  kernel: '6.18.0',
  features: ['http', 'ipv6'],
}

export const offer: Of<'offer'> = {
  type: 'offer',
  claimed: null,
  id: 0x1f_ffff_ffff_ffff,
  budgetMs: 1000,
  listener: 'web',
  pool: 'media',
  snapshot: plainSnapshot,
  context: Buffer.from('{}'),
}

export const closed: Of<'closed'> = {
  type: 'closed',
  id: 7,
  flow: flow4,
  bytesIn: 18,
  bytesOut: 104857600,
  durationMs: 1234,
  cause: 'client',
  requests: 1,
  status: 200,
  context: Buffer.from('{}'),
}

/** At least one of each message, with the name under which its golden bytes stand. */
export const messages: Readonly<Record<string, Message>> = {
  'hello of an agent': hello,
  'hello of a frontend': {
    type: 'hello',
    minVersion: 1,
    maxVersion: 3,
    role: 'frontend',
    id: 'f.1_a-b',
    epoch: 1,
    steerTo: { ipv4: null, ipv6: null },
    pools: [],
    capacity: 0,
    kernel: '',
    features: [],
  },
  ping: { type: 'ping', nonce: 1 },
  pong: { type: 'pong', nonce: 0xffffffff },
  capacity: { type: 'capacity', capacity: 4096, active: 17, accepting: true },
  routes: { type: 'routes', version: 3, json: '{"é":1}' },
  'offer, plain': offer,
  'offer, claimed': {
    ...offer,
    claimed: Buffer.from('20010db8000000000000000000000007fd0000000000000000000000000001000000ffff', 'hex'),
  },
  'offer, full': {
    ...offer,
    id: 0,
    listener: '',
    pool: '',
    snapshot: fullSnapshot,
    context: Buffer.alloc(0),
  },
  adopted: { type: 'adopted', id: 0x1_0000_0001 },
  refused: { type: 'refused', id: 2, code: 'BATON_HANDOFF_BUSY', message: 'Später.' },
  ask: { type: 'ask', id: 3, giverEpoch: 5, takerEpoch: 4, ageMs: 1500 },
  outcome: { type: 'outcome', id: 3, outcome: 'ended' },
  park: { type: 'park', id: 4, flow: flow4 },
  parked: { type: 'parked', id: 4, ok: true },
  unpark: { type: 'unpark', id: 4, flow: flow6 },
  claim: { type: 'claim', id: 5, flow: flow4 },
  claimed: { type: 'claimed', id: 5, flow: flow6, answer: 'later' },
  closed,
}
