import { BatonError } from '../errors/index.js'
import { FLOW_KEY_BYTES } from '../kernel/flow.js'
import { type Codec, codeOf } from './codec.js'
import { KnownText } from './known-text.js'
import { MAX_CONTEXT_BYTES, MAX_NAME_BYTES, MAX_REFUSAL_BYTES } from './limits.js'
import type { Adopted, Ask, Offer, Outcome, Refused } from './messages.js'
import { putBytes, putName, putU8, putU32, putU53, textBytes } from './put.js'
import { putSnapshot, snapshotBytes, takeSnapshot } from './snapshot-codec.js'
import { malformed, type Take } from './take.js'

/** Stands where a snapshot has its version, which is never 0: a claimed flow comes first. */
const CLAIMED = 0

const knownListener = new KnownText()
const knownPool = new KnownText()

export const offerCodec: Codec<Offer> = {
  room: (offer) =>
    15 + FLOW_KEY_BYTES + 2 * MAX_NAME_BYTES + snapshotBytes(offer.snapshot) + offer.context.length,
  put(to, at, offer) {
    let next = putU53(to, at, offer.id, 'id')
    next = putU32(to, next, offer.budgetMs, 'budgetMs')
    next = putName(to, next, offer.listener, 'listener')
    next = putName(to, next, offer.pool, 'pool')
    if (offer.claimed !== null) next = putClaimed(to, next, offer.claimed)
    next = putSnapshot(to, next, offer.snapshot)
    return putBytes(to, next, offer.context, MAX_CONTEXT_BYTES, 'context')
  },
  take(take) {
    const id = take.u53()
    const budgetMs = take.u32()
    const listener = take.name(0, knownListener)
    const pool = take.name(0, knownPool)
    const claimed = takeClaimed(take)
    const { snapshot, rest } = takeSnapshot(take)
    if (rest.length > MAX_CONTEXT_BYTES) malformed('A context over its cap.')
    return { type: 'offer', id, budgetMs, listener, pool, claimed, snapshot, context: rest }
  },
}

function putClaimed(to: Buffer, at: number, claimed: Buffer): number {
  if (claimed.length !== FLOW_KEY_BYTES) {
    throw new BatonError('BATON_FRAME_VALUE', {
      detail: `claimed has ${claimed.length} bytes`,
      step: 'claimed',
    })
  }
  return putBytes(to, putU8(to, at, CLAIMED, 'claimed'), claimed, FLOW_KEY_BYTES, 'claimed')
}

function takeClaimed(take: Take): Buffer | null {
  if (take.left === 0 || take.bytes[take.at] !== CLAIMED) return null
  take.skip(1)
  return take.copy(FLOW_KEY_BYTES)
}

export const adoptedCodec: Codec<Adopted> = {
  room: () => 8,
  put: (to, at, message) => putU53(to, at, message.id, 'id'),
  take: (take) => ({ type: 'adopted', id: take.u53() }),
}

const codePattern = /^[A-Z0-9_]{1,64}$/

export const refusedCodec: Codec<Refused> = {
  room: (message) => 9 + MAX_NAME_BYTES + message.message.length * 3,
  put(to, at, message) {
    if (!codePattern.test(message.code)) {
      throw new BatonError('BATON_FRAME_VALUE', { detail: `code is ${message.code}`, step: 'code' })
    }
    let next = putU53(to, at, message.id, 'id')
    next = putName(to, next, message.code, 'code', 1)
    const text = textBytes(message.message, MAX_REFUSAL_BYTES, 'message')
    return putBytes(to, next, text, MAX_REFUSAL_BYTES, 'message')
  },
  take(take) {
    const id = take.u53()
    const code = take.name(1)
    if (!codePattern.test(code)) malformed('A code holds a character outside [A-Z0-9_].')
    if (take.left > MAX_REFUSAL_BYTES) malformed('A refusal of more than 1 KiB.')
    return { type: 'refused', id, code, message: take.text(take.left) }
  },
}

export const askCodec: Codec<Ask> = {
  room: () => 28,
  put(to, at, message) {
    let next = putU53(to, at, message.id, 'id')
    next = putU53(to, next, message.giverEpoch, 'giverEpoch')
    next = putU53(to, next, message.takerEpoch, 'takerEpoch')
    return putU32(to, next, message.ageMs, 'ageMs')
  },
  take: (take) => ({
    type: 'ask',
    id: take.u53(),
    giverEpoch: take.u53(),
    takerEpoch: take.u53(),
    ageMs: take.u32(),
  }),
}

const outcomes = ['adopted', 'refused', 'ended', 'pending', 'unknown'] as const satisfies Outcome['outcome'][]

export const outcomeCodec: Codec<Outcome> = {
  room: () => 9,
  put(to, at, message) {
    const next = putU53(to, at, message.id, 'id')
    return putU8(to, next, codeOf(outcomes, message.outcome) || -1, 'outcome')
  },
  take(take) {
    const id = take.u53()
    return { type: 'outcome', id, outcome: outcomes[take.u8() - 1] ?? malformed('An unknown outcome.') }
  },
}
