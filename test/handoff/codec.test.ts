import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { isBatonError } from '../../src/errors/index.js'
import {
  encodeMessage,
  FrameDecoder,
  FrameWriter,
  frameKinds,
  type Message,
} from '../../src/handoff/index.js'
import { packageRoot } from '../../src/kernel/native.js'
import { closed, fullSnapshot, hello, messages, offer, plainSnapshot } from './fixtures.js'
import { golden } from './golden.js'

test('each message has its golden bytes, and they read back to it', () => {
  assert.deepEqual(Object.keys(golden), Object.keys(messages))
  for (const [name, message] of Object.entries(messages)) {
    assert.equal(encodeMessage(message).toString('hex'), golden[name], name)
    assert.deepEqual(new FrameDecoder().push(Buffer.from(golden[name]!, 'hex')), [message], name)
  }
})

test('there is a golden vector for every type of message', () => {
  const types = new Set(Object.values(messages).map((message) => message.type))
  assert.deepEqual([...types].sort(), Object.keys(frameKinds).sort())
})

test('docs/wire-format.md has each type with its byte, and a section that draws it', () => {
  const page = readFileSync(join(packageRoot, 'docs/wire-format.md'), 'utf8')
  for (const [type, { code }] of Object.entries(frameKinds)) {
    const byte = `0x${code.toString(16).padStart(2, '0')}`
    assert.match(
      page,
      new RegExp(`^\\| ${byte} +\\| ${type.toUpperCase()} +\\|`, 'm'),
      `${type} in the table`,
    )
    assert.match(page, new RegExp(`^## .*${type.toUpperCase()}`, 'm'), `${type} as a section`)
  }
})

test('a queue of 4 MiB each way fits into one frame and comes back whole', () => {
  const queue = Buffer.alloc(4 * 1024 * 1024, 'ab')
  const snapshot = {
    ...plainSnapshot,
    receive: { ...plainSnapshot.receive, queue },
    send: { ...plainSnapshot.send, queue, unsentBytes: queue.length },
  }
  const [read] = new FrameDecoder().push(encodeMessage({ ...offer, snapshot, context: Buffer.alloc(4096) }))
  assert.ok(read?.type === 'offer' && read.snapshot.receive.queue.equals(queue))
  assert.ok(read.snapshot.send.queue.equals(queue))
})

test('what was decoded does not change when the chunk is used again', () => {
  const chunk = encodeMessage(offer)
  const [read] = new FrameDecoder().push(chunk)
  chunk.fill(0xee)
  assert.deepEqual(read, offer)
})

for (const [what, lends] of [
  ['without touching what was taken', true],
  ['writing over what nobody needs', false],
] as const) {
  test(`the writer gathers frames in order, a large one between small ones, ${what}`, () => {
    const writer = new FrameWriter()
    const large = { ...plainSnapshot, receive: { nextSequence: 1, queue: Buffer.alloc(200_000, 'x') } }
    const sent: Message[] = []
    const taken: Buffer[] = []
    const take = (bytes: Buffer, start: number, end: number) => {
      taken.push(lends ? bytes.subarray(start, end) : Buffer.from(bytes.subarray(start, end)))
      return !lends
    }
    for (let round = 0; round < 300; round++) {
      for (const message of round === 20 ? [offer, { ...offer, snapshot: large }, closed] : [offer, closed]) {
        writer.push(message)
        sent.push(message)
      }
      if (round % 7 === 0) writer.drain(take)
    }
    writer.drain(take)
    assert.equal(writer.bytes, 0)
    assert.deepEqual(new FrameDecoder().push(Buffer.concat(taken)), sent)
  })
}

const snapshot = plainSnapshot
const { socket, options } = snapshot
const keepAlive = { idle: 1, interval: 1, count: 1 }
const withSnapshot = (change: object) => ({ ...offer, snapshot: { ...snapshot, ...change } })
const withSocket = (change: object) => withSnapshot({ socket: { ...socket, ...change } })

/** Values that would be rounded, cut off or misread; typed loosely, as the mistakes of a caller come. */
const unwritable: Readonly<Record<string, object>> = {
  'an id of 2^53': { ...offer, id: 2 ** 53 },
  'a negative id': { ...offer, id: -1 },
  'a fractional id': { ...offer, id: 1.5 },
  'an id that is no number': { ...offer, id: Number.NaN },
  'a budget of 2^32': { ...offer, budgetMs: 2 ** 32 },
  'a listener with a space': { ...offer, listener: 'a b' },
  'a pool of 65 bytes': { ...offer, pool: 'p'.repeat(65) },
  'a context over 4 KiB': { ...offer, context: Buffer.alloc(4097) },
  'a queue over 4 MiB': withSnapshot({
    receive: { nextSequence: 0, queue: Buffer.alloc(4 * 1024 * 1024 + 1) },
  }),
  'more unsent bytes than queued': withSnapshot({
    send: { writeSequence: 0, queue: Buffer.alloc(3), unsentBytes: 4 },
  }),
  'a sequence number of 2^32': withSnapshot({ receive: { nextSequence: 2 ** 32, queue: Buffer.alloc(0) } }),
  'an MSS of 0': withSnapshot({ mss: 0 }),
  'a window scale of 15': withSnapshot({ options: { ...options, windowScale: { send: 15, receive: 0 } } }),
  'a negative window scale': withSnapshot({ options: { ...options, windowScale: { send: 0, receive: -1 } } }),
  'a fractional window scale': withSnapshot({
    options: { ...options, windowScale: { send: 0.5, receive: 1 } },
  }),
  'an IPv6 flow on an IPv4 socket': withSnapshot({ flow: fullSnapshot.flow }),
  'a family of 5': withSnapshot({ socketFamily: 5 }),
  'a flow of 35 bytes': withSnapshot({ flow: snapshot.flow.subarray(1) }),
  'a client port of 0': withSnapshot({ flow: patched(snapshot.flow, 32, 0, 0) }),
  'a VIP of 0.0.0.0': withSnapshot({ flow: patched(snapshot.flow, 28, 0, 0, 0, 0) }),
  'a client of ::': withSnapshot({
    flow: Buffer.concat([Buffer.alloc(16), fullSnapshot.flow.subarray(16)]),
    socketFamily: 6,
  }),
  'an IPv4 client with an IPv6 VIP': withSnapshot({
    flow: patched(snapshot.flow, 16, 0xfd),
    socketFamily: 6,
  }),
  'a congestion control of 16 bytes': withSocket({ congestion: 'c'.repeat(16) }),
  'a congestion control with a slash': withSocket({ congestion: '../cubic' }),
  'a keepalive count of 128': withSocket({ keepAlive: { ...keepAlive, count: 128 } }),
  'a keepalive of 0 s': withSocket({ keepAlive: { ...keepAlive, idle: 0 } }),
  'a keepalive interval of 32768 s': withSocket({ keepAlive: { ...keepAlive, interval: 32768 } }),
  'a user timeout of 2^31 ms': withSocket({ userTimeoutMs: 2 ** 31 }),
  'a TOS of 256': withSocket({ tos: 256 }),
  'a HELLO without an id': { ...hello, id: '' },
  'a HELLO with a slash in its id': { ...hello, id: 'a/b' },
  'a HELLO of version 0': { ...hello, minVersion: 0, maxVersion: 0 },
  'a HELLO with its versions crossed': { ...hello, minVersion: 2, maxVersion: 1 },
  'a HELLO of another role': { ...hello, role: 'client' },
  'a HELLO with 257 pools': { ...hello, pools: Array.from({ length: 257 }, (_, index) => `p${index}`) },
  'a mapped address as IPv6 next hop': { ...hello, steerTo: { ipv4: null, ipv6: '::ffff:10.0.0.1' } },
  'a next hop that is no address': { ...hello, steerTo: { ipv4: 'agent', ipv6: null } },
  'a refusal with a lower-case code': { type: 'refused', id: 1, code: 'busy', message: '' },
  'a refusal of more than 1 KiB': { type: 'refused', id: 1, code: 'BUSY', message: 'é'.repeat(513) },
  'a lone surrogate': { type: 'refused', id: 1, code: 'BUSY', message: '\ud800' },
  'routes over 1 MiB': { type: 'routes', version: 1, json: ' '.repeat(1024 * 1024 + 1) },
  'an unknown outcome': { type: 'outcome', id: 1, outcome: 'perhaps' },
  'an unknown answer to a claim': { ...messages.claimed, answer: 'perhaps' },
  'an unknown cause': { ...closed, cause: 'boredom' },
  'a status of 1000': { ...closed, status: 1000 },
  'a fractional duration': { ...closed, durationMs: 1.5 },
  'a number for a boolean': { type: 'parked', id: 1, ok: 1 },
}

function patched(bytes: Buffer, at: number, ...values: number[]): Buffer {
  const copy = Buffer.from(bytes)
  copy.set(values, at)
  return copy
}

test('a value that the wire has no room for is refused, not rounded or cut', () => {
  for (const [name, message] of Object.entries(unwritable)) {
    assert.throws(
      () => encodeMessage(message as Message),
      (error) => isBatonError(error, 'BATON_FRAME_VALUE'),
      name,
    )
  }
})
