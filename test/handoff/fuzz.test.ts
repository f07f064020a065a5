import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isBatonError } from '../../src/errors/index.js'
import { FrameDecoder, type Message, putFrame } from '../../src/handoff/index.js'
import { golden } from './golden.js'

const INPUTS = 1_000_000
const seeds = Object.values(golden).map((hex) => Buffer.from(hex, 'hex'))
const interesting = [0, 1, 2, 4, 6, 14, 15, 0x20, 0x7f, 0x80, 0xc3, 0xed, 0xff]
const words = [
  0,
  1,
  0x7fffffff,
  0x80000000,
  0xffffffff,
  0x1fffff,
  0x200000,
  4 * 1024 * 1024,
  4 * 1024 * 1024 + 1,
]

/** xorshift32: the same inputs in every run. */
function generator(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % below
  }
}

/** A golden frame with up to four of its bytes, words or ends changed; mostly with a length that fits again. */
function mutate(scratch: Buffer, random: (below: number) => number): Buffer {
  const seed = seeds[random(seeds.length)]!
  let length = seed.copy(scratch)
  for (let count = 1 + random(4); count > 0; count--) {
    const at = random(length)
    switch (random(7)) {
      case 0:
        scratch[at]! ^= 1 << random(8)
        break
      case 1:
        scratch[at] = interesting[random(interesting.length)]!
        break
      case 2:
        if (at + 4 <= length) scratch.writeUInt32BE(words[random(words.length)]!, at)
        break
      case 3:
        length = Math.max(1, length - random(8))
        break
      case 4: {
        const extra = 1 + random(8)
        scratch.fill(random(256), length, length + extra)
        length += extra
        break
      }
      case 5:
        scratch.copyWithin(at, random(length), length)
        break
      default: {
        // Another frame behind it, whole or not.
        const other = seeds[random(seeds.length)]!
        length += other.copy(scratch, length, 0, 1 + random(other.length))
      }
    }
    if (length > 1500) break
  }
  if (random(4) > 0 && length >= 5) scratch.writeUInt32BE(length - 5)
  return scratch.subarray(0, length)
}

test(`${INPUTS} mutated inputs neither crash the decoder nor make it accept what it would not have written`, () => {
  const random = generator(0x5eed)
  const scratch = Buffer.alloc(4096)
  const again = Buffer.alloc(16_384)
  let accepted = 0
  let refused = 0
  let written = 0
  const write = (message: Message) => {
    written = putFrame(again, written, message)
    accepted++
  }
  const traceLimit = Error.stackTraceLimit
  Error.stackTraceLimit = 0
  for (let round = 0; round < INPUTS; round++) {
    const input = mutate(scratch, random)
    const decoder = new FrameDecoder()
    written = 0
    let consumed = 0
    try {
      const split = random(3) === 0 ? random(input.length) : input.length
      decoder.read(input.subarray(0, split), write)
      decoder.read(input.subarray(split), write)
      consumed = input.length - decoder.waitingBytes
    } catch (error) {
      if (!isBatonError(error, 'BATON_FRAME_MALFORMED') && !isBatonError(error, 'BATON_FRAME_SIZE')) {
        assert.fail(`round ${round}, ${input.toString('hex')}: ${String(error)}`)
      }
      refused++
      consumed = written
    }
    if (written !== consumed || again.compare(input, 0, consumed, 0, written) !== 0) {
      assert.fail(`round ${round}: ${input.toString('hex')} reads as ${again.toString('hex', 0, written)}`)
    }
  }
  Error.stackTraceLimit = traceLimit
  // Both ways are taken often, or the mutations are too wild or too tame to show anything.
  assert.ok(accepted > INPUTS / 20, `${accepted} accepted`)
  assert.ok(refused > INPUTS / 5, `${refused} refused`)
})
