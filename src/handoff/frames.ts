import { BatonError } from '../errors/index.js'
import type { Codec } from './codec.js'
import { capacityCodec, helloCodec, pingCodec, pongCodec, routesCodec } from './codec-control.js'
import { claimCodec, claimedCodec, closedCodec, parkCodec, parkedCodec, unparkCodec } from './codec-flow.js'
import { adoptedCodec, askCodec, offerCodec, outcomeCodec, refusedCodec } from './codec-handoff.js'
import { frameKinds, HEADER_BYTES } from './limits.js'
import type { Message } from './messages.js'
import { putU32 } from './put.js'
import { malformed, Take } from './take.js'

type Codecs = { readonly [T in Message['type']]: Codec<Extract<Message, { type: T }>> }

const codecs: Codecs = {
  hello: helloCodec,
  ping: pingCodec,
  pong: pongCodec,
  capacity: capacityCodec,
  routes: routesCodec,
  offer: offerCodec,
  adopted: adoptedCodec,
  refused: refusedCodec,
  ask: askCodec,
  outcome: outcomeCodec,
  park: parkCodec,
  parked: parkedCodec,
  unpark: unparkCodec,
  closed: closedCodec,
  claim: claimCodec,
  claimed: claimedCodec,
}

/** The codec of a message's own type: the table's rows pair them, which the type of a single lookup cannot say. */
function codecOf(type: Message['type']): Codec<Message> {
  return codecs[type] as Codec<Message>
}

const byCode: (Codec<Message> | undefined)[] = new Array(256).fill(undefined)
for (const type of Object.keys(codecs) as Message['type'][]) byCode[frameKinds[type].code] = codecOf(type)

/** An upper bound of the bytes of a message's frame. */
export function frameRoom(message: Message): number {
  return HEADER_BYTES + codecOf(message.type).room(message)
}

/**
 * Writes a frame at `at` and returns the offset after it; `to` must have {@link frameRoom} bytes left.
 * @throws BatonError BATON_FRAME_VALUE when a value does not fit the wire; what stands after `at` is then undefined
 */
export function putFrame(to: Buffer, at: number, message: Message): number {
  const kind = frameKinds[message.type]
  const body = at + HEADER_BYTES
  const end = codecOf(message.type).put(to, body, message)
  if (end > to.length || end - body > kind.maxBodyBytes) {
    throw new BatonError('BATON_FRAME_VALUE', { detail: `${message.type} has ${end - body} bytes` })
  }
  putU32(to, at, end - body, 'length')
  to[at + 4] = kind.code
  return end
}

/** A frame of its own. @throws BatonError BATON_FRAME_VALUE */
export function encodeMessage(message: Message): Buffer {
  const frame = Buffer.allocUnsafe(frameRoom(message))
  return frame.subarray(0, putFrame(frame, 0, message))
}

/** Reads one body, to its last byte. @throws BatonError BATON_FRAME_MALFORMED */
export function takeBody(code: number, bytes: Buffer, start: number, end: number): Message {
  const codec = byCode[code]
  if (codec === undefined) malformed(`No message has the type 0x${code.toString(16)}.`)
  const take = new Take(bytes, start, end)
  const message = codec.take(take)
  take.finish()
  return message
}
