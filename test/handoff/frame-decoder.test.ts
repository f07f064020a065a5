import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isBatonError } from '../../src/errors/index.js'
import { encodeMessage, FrameDecoder, frameKinds, type Message } from '../../src/handoff/index.js'
import { fullSnapshot, messages, offer, plainSnapshot } from './fixtures.js'
import { golden } from './golden.js'

const all = Object.values(messages)
const stream = Buffer.concat(all.map((message) => encodeMessage(message)))

test('a stream of all messages reads the same whichever byte it is split at', () => {
  for (let at = 0; at <= stream.length; at++) {
    const decoder = new FrameDecoder()
    const read = [...decoder.push(stream.subarray(0, at)), ...decoder.push(stream.subarray(at))]
    assert.deepEqual(read, all, `split at ${at}`)
    assert.equal(decoder.waitingBytes, 0)
  }
})

test('a stream that comes byte by byte reads the same', () => {
  const decoder = new FrameDecoder()
  const read: Message[] = []
  for (const byte of stream) read.push(...decoder.push(Buffer.from([byte])))
  assert.deepEqual(read, all)
})

test('a large offer in pieces of odd sizes reads the same', () => {
  const queue = Buffer.alloc(1_000_003, 'xyz')
  const large: Message = { ...offer, snapshot: { ...fullSnapshot, receive: { nextSequence: 5, queue } } }
  const bytes = Buffer.concat([encodeMessage(large), encodeMessage(offer)])
  for (const size of [1009, 16_384, 65_536]) {
    const decoder = new FrameDecoder()
    const read: Message[] = []
    for (let at = 0; at < bytes.length; at += size) read.push(...decoder.push(bytes.subarray(at, at + size)))
    assert.deepEqual(read, [large, offer])
  }
})

test('a frame over the cap of its type is refused at its header, and nothing is stored', () => {
  for (const [type, { code, maxBodyBytes }] of Object.entries(frameKinds)) {
    const header = Buffer.alloc(5)
    header.writeUInt32BE(maxBodyBytes + 1)
    header[4] = code
    const decoder = new FrameDecoder()
    assert.deepEqual(decoder.push(header.subarray(0, 4)), [])
    assert.throws(
      () => decoder.push(header.subarray(4)),
      (error) => isBatonError(error, 'BATON_FRAME_SIZE'),
      type,
    )
    assert.equal(decoder.waitingBytes, 0)
  }
})

test('an unknown type is refused at its header', () => {
  const decoder = new FrameDecoder()
  assert.throws(
    () => decoder.push(Buffer.from('000000017f', 'hex')),
    (error) => isBatonError(error, 'BATON_FRAME_MALFORMED'),
  )
})

test('messages before a bad frame arrive, and after it nothing is read any more', () => {
  const decoder = new FrameDecoder()
  const read: Message[] = []
  const bytes = Buffer.concat([
    encodeMessage(offer),
    Buffer.from('0000000402', 'hex'),
    Buffer.alloc(4),
    Buffer.from('00000001ff00', 'hex'),
  ])
  assert.throws(() => decoder.read(bytes, (message) => read.push(message)), { code: 'BATON_FRAME_MALFORMED' })
  assert.deepEqual(read, [offer, { type: 'ping', nonce: 0 }])
  assert.throws(() => decoder.push(encodeMessage(offer)), { code: 'BATON_FRAME_MALFORMED' })
})

/** Golden bytes with one field made impossible: name → [vector, offset in the frame, bytes put there]. */
const lies: Readonly<Record<string, readonly [string, number, string]>> = {
  'an id of 2^53': ['adopted', 5, '0020000000000000'],
  'a role of 3': ['hello of an agent', 7, '03'],
  'version 0': ['hello of an agent', 5, '00'],
  'an unknown steering flag': ['hello of a frontend', 24, '04'],
  'a space in a name': ['offer, plain', 18, '20'],
  'a snapshot of version 2': ['offer, plain', 27, '02'],
  'family 6 turned to 4': ['offer, full', 20, '04'],
  'a flag of the future': ['offer, plain', 29, '47'],
  'microseconds without timestamps': ['offer, plain', 29, '0b'],
  'a window scale of 15': ['offer, plain', 30, 'fa'],
  'a window scale without its flag': ['offer, full', 22, '10'],
  'a timestamp without its flag': ['offer, full', 67, '00000001'],
  'an MSS of 0': ['offer, plain', 31, '0000'],
  'more unsent bytes than queued': ['offer, plain', 43, '00000001'],
  'a longer queue than the frame': ['offer, plain', 47, '000000ff'],
  'a keepalive time while off': ['offer, plain', 79, '0001'],
  'a keepalive count of 128': ['offer, full', 26, '80'],
  'a byte after the congestion control’s name': ['offer, plain', 100, '41'],
  'a client port of 0': ['park', 45, '0000'],
  'mixed families': ['park', 13, 'fd'],
  'a boolean of 2': ['parked', 13, '02'],
  'an outcome of 6': ['outcome', 13, '06'],
  'a cause of 0': ['closed', 73, '00'],
  'UTF-8 cut short': ['refused', 39, 'c3'],
}

test('a frame that lies about one field is refused', () => {
  for (const [name, [vector, at, bytes]] of Object.entries(lies)) {
    const frame = Buffer.from(golden[vector]!, 'hex')
    const before = Buffer.from(frame)
    frame.set(Buffer.from(bytes, 'hex'), at)
    assert.notDeepEqual(frame, before, `${name}: nothing was changed`)
    assert.throws(
      () => new FrameDecoder().push(frame),
      (error) => isBatonError(error, 'BATON_FRAME_MALFORMED'),
      name,
    )
  }
})

test('a byte too many or too few is refused in every frame that has a fixed end', () => {
  for (const [name, hex] of Object.entries(golden)) {
    const frame = Buffer.from(hex, 'hex')
    const short = Buffer.from(frame.subarray(0, -1))
    short.writeUInt32BE(short.length - 5)
    const long = Buffer.concat([frame, Buffer.from([0x80])])
    long.writeUInt32BE(long.length - 5)
    const open = /^(offer|routes|refused|closed)/.test(name)
    for (const bytes of open ? [] : [short, long]) {
      assert.throws(
        () => new FrameDecoder().push(bytes),
        (error) => error instanceof Error && isBatonError(error),
        name,
      )
    }
  }
  assert.equal(plainSnapshot.receive.queue.length, 18)
})
