import { addressText } from '../kernel/flow.js'
import { type Codec, codeOf } from './codec.js'
import { MAX_FEATURES, MAX_NAME_BYTES, MAX_POOLS, MAX_ROUTES_BYTES } from './limits.js'
import type { Capacity, Hello, Ping, Pong, Routes } from './messages.js'
import {
  addressKind,
  putBoolean,
  putBytes,
  putName,
  putU8,
  putU16,
  putU32,
  putU53,
  steerAddress,
  textBytes,
} from './put.js'
import { malformed, type Take } from './take.js'

const roles = ['frontend', 'agent'] as const

/** An id: what file names, metrics and logs bear without quoting. */
export const idPattern = /^[A-Za-z0-9._-]{1,64}$/

const STEER_IPV4 = 1
const STEER_IPV6 = 2

export const helloCodec: Codec<Hello> = {
  room: (hello) => 256 + (hello.pools.length + hello.features.length) * (MAX_NAME_BYTES + 1),
  put(to, at, hello) {
    let next = putU8(to, at, hello.minVersion, 'minVersion', hello.maxVersion)
    next = putU8(to, next, hello.minVersion === 0 ? -1 : hello.maxVersion, 'maxVersion')
    next = putU8(to, next, codeOf(roles, hello.role) || -1, 'role')
    next = putName(to, next, idPattern.test(hello.id) ? hello.id : ' ', 'id', 1)
    next = putU53(to, next, hello.epoch, 'epoch')
    const { ipv4, ipv6 } = hello.steerTo
    next = putU8(to, next, (ipv4 === null ? 0 : STEER_IPV4) | (ipv6 === null ? 0 : STEER_IPV6), 'steerTo')
    if (ipv4 !== null)
      next = putBytes(to, next, steerAddress(ipv4, 4, 'steerTo.ipv4').subarray(12), 4, 'steerTo.ipv4')
    if (ipv6 !== null) next = putBytes(to, next, steerAddress(ipv6, 6, 'steerTo.ipv6'), 16, 'steerTo.ipv6')
    next = putU32(to, next, hello.capacity, 'capacity')
    next = putName(to, next, hello.kernel, 'kernel')
    next = putU16(to, next, hello.pools.length > MAX_POOLS ? -1 : hello.pools.length, 'pools.length')
    for (const pool of hello.pools) next = putName(to, next, pool, 'pool', 1)
    next = putU8(to, next, hello.features.length, 'features.length', MAX_FEATURES)
    for (const feature of hello.features) next = putName(to, next, feature, 'feature', 1)
    return next
  },
  take(take) {
    const minVersion = take.u8()
    const maxVersion = take.u8()
    if (minVersion === 0 || minVersion > maxVersion) malformed('An impossible range of versions.')
    const role = roles[take.u8() - 1] ?? malformed('Neither a frontend nor an agent.')
    const id = take.name(1)
    if (!idPattern.test(id)) malformed('An id holds a character outside [A-Za-z0-9._-].')
    const epoch = take.u53()
    const steerTo = takeSteerTo(take)
    const capacity = take.u32()
    const kernel = take.name()
    const poolCount = take.u16()
    if (poolCount > MAX_POOLS) malformed(`${poolCount} pools are too many.`)
    const pools = Array.from({ length: poolCount }, () => take.name(1))
    const features = Array.from({ length: take.u8(MAX_FEATURES) }, () => take.name(1))
    return {
      type: 'hello',
      minVersion,
      maxVersion,
      role,
      id,
      epoch,
      steerTo,
      pools,
      capacity,
      kernel,
      features,
    }
  },
}

function takeSteerTo(take: Take): Hello['steerTo'] {
  const flags = take.u8(STEER_IPV4 | STEER_IPV6)
  let ipv4: string | null = null
  let ipv6: string | null = null
  if (flags & STEER_IPV4) {
    const start = take.skip(4)
    ipv4 = take.bytes.subarray(start, start + 4).join('.')
    if (ipv4 === '0.0.0.0') malformed('A next hop of 0.0.0.0.')
  }
  if (flags & STEER_IPV6) {
    const start = take.skip(16)
    if (addressKind(take.bytes, start) !== 'ipv6') malformed('An IPv6 next hop that is none.')
    ipv6 = addressText(take.bytes, start)
  }
  return { ipv4, ipv6 }
}

const nonce = <T extends 'ping' | 'pong'>(type: T): Codec<{ readonly type: T; readonly nonce: number }> => ({
  room: () => 4,
  put: (to, at, message) => putU32(to, at, message.nonce, 'nonce'),
  take: (take) => ({ type, nonce: take.u32() }),
})

export const pingCodec: Codec<Ping> = nonce('ping')
export const pongCodec: Codec<Pong> = nonce('pong')

export const capacityCodec: Codec<Capacity> = {
  room: () => 9,
  put(to, at, message) {
    let next = putU32(to, at, message.capacity, 'capacity')
    next = putU32(to, next, message.active, 'active')
    return putBoolean(to, next, message.accepting, 'accepting')
  },
  take: (take) => ({ type: 'capacity', capacity: take.u32(), active: take.u32(), accepting: take.boolean() }),
}

export const routesCodec: Codec<Routes> = {
  room: (message) => 8 + message.json.length * 3,
  put(to, at, message) {
    const next = putU53(to, at, message.version, 'version')
    return putBytes(to, next, textBytes(message.json, MAX_ROUTES_BYTES, 'json'), MAX_ROUTES_BYTES, 'json')
  },
  take(take) {
    const version = take.u53()
    if (take.left > MAX_ROUTES_BYTES) malformed('Routes of more than 1 MiB.')
    return { type: 'routes', version, json: take.text(take.left) }
  },
}
