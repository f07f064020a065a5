import type { FlowKey } from '../kernel/flow.js'
import { type Codec, codeOf } from './codec.js'
import { MAX_CONTEXT_BYTES } from './limits.js'
import type { Claim, Claimed, CloseCause, Closed, HandoffId, Park, Parked, Unpark } from './messages.js'
import { putBoolean, putBytes, putFlow, putU8, putU16, putU32, putU53 } from './put.js'
import { malformed } from './take.js'

interface FlowMessage<T> {
  readonly type: T
  readonly id: HandoffId
  readonly flow: FlowKey
}

const idAndFlow = <T extends 'park' | 'unpark' | 'claim'>(type: T): Codec<FlowMessage<T>> => ({
  room: () => 44,
  put: (to, at, message) => putFlow(to, putU53(to, at, message.id, 'id'), message.flow),
  take: (take) => ({ type, id: take.u53(), flow: take.flow() }),
})

export const parkCodec: Codec<Park> = idAndFlow('park')
export const unparkCodec: Codec<Unpark> = idAndFlow('unpark')
export const claimCodec: Codec<Claim> = idAndFlow('claim')

const answers = ['yours', 'later', 'none'] as const satisfies Claimed['answer'][]

export const claimedCodec: Codec<Claimed> = {
  room: () => 45,
  put(to, at, message) {
    const next = putFlow(to, putU53(to, at, message.id, 'id'), message.flow)
    return putU8(to, next, codeOf(answers, message.answer) || -1, 'answer')
  },
  take(take) {
    const id = take.u53()
    const flow = take.flow()
    const answer = answers[take.u8() - 1] ?? malformed('An unknown answer.')
    return { type: 'claimed', id, flow, answer }
  },
}

export const parkedCodec: Codec<Parked> = {
  room: () => 9,
  put: (to, at, message) => putBoolean(to, putU53(to, at, message.id, 'id'), message.ok, 'ok'),
  take: (take) => ({ type: 'parked', id: take.u53(), ok: take.boolean() }),
}

const causes = [
  'client',
  'backend',
  'error',
  'timeout',
  'drain',
  'moved',
  'claimed',
] as const satisfies CloseCause[]

export const closedCodec: Codec<Closed> = {
  room: (closed) => 75 + closed.context.length,
  put(to, at, closed) {
    let next = putU53(to, at, closed.id, 'id')
    next = putFlow(to, next, closed.flow)
    next = putU53(to, next, closed.bytesIn, 'bytesIn')
    next = putU53(to, next, closed.bytesOut, 'bytesOut')
    next = putU53(to, next, closed.durationMs, 'durationMs')
    next = putU8(to, next, codeOf(causes, closed.cause) || -1, 'cause')
    next = putU32(to, next, closed.requests, 'requests')
    next = putU16(to, next, closed.status > 999 ? -1 : closed.status, 'status')
    return putBytes(to, next, closed.context, MAX_CONTEXT_BYTES, 'context')
  },
  take(take) {
    const id = take.u53()
    const flow = take.flow()
    const bytesIn = take.u53()
    const bytesOut = take.u53()
    const durationMs = take.u53()
    const cause = causes[take.u8() - 1] ?? malformed('An unknown cause.')
    const requests = take.u32()
    const status = take.u16()
    if (status > 999) malformed(`A status of ${status}.`)
    if (take.left > MAX_CONTEXT_BYTES) malformed('A context over its cap.')
    const context = take.copy(take.left)
    return { type: 'closed', id, flow, bytesIn, bytesOut, durationMs, cause, requests, status, context }
  },
}
