import { BatonError } from '../errors/index.js'
import { putBytes as copyBytes } from '../kernel/bytes.js'
import { addressBytes, FLOW_KEY_BYTES, type FlowKey } from '../kernel/flow.js'
import { MAX_NAME_BYTES } from './limits.js'

/*
 * Writers of single fields: each checks its value, writes big-endian at `at`, and returns the offset after it. A value
 * that does not fit throws BATON_FRAME_VALUE, so nothing is cut off or rounded on its way to the other host.
 */

function refuse(field: string, value: unknown): never {
  throw new BatonError('BATON_FRAME_VALUE', {
    detail: `${field} is ${String(value).slice(0, 80)}`,
    step: field,
  })
}

export function putU8(to: Buffer, at: number, value: number, field: string, max = 0xff): number {
  if ((value & 0xff) !== value || value > max) refuse(field, value)
  to[at] = value
  return at + 1
}

export function putU16(to: Buffer, at: number, value: number, field: string): number {
  if ((value & 0xffff) !== value) refuse(field, value)
  to[at] = value >>> 8
  to[at + 1] = value
  return at + 2
}

export function putU32(to: Buffer, at: number, value: number, field: string): number {
  if (value >>> 0 !== value) refuse(field, value)
  to[at] = value >>> 24
  to[at + 1] = value >>> 16
  to[at + 2] = value >>> 8
  to[at + 3] = value
  return at + 4
}

/** An integer below 2^53 in eight bytes. */
export function putU53(to: Buffer, at: number, value: number, field: string): number {
  if (!Number.isSafeInteger(value) || value < 0) refuse(field, value)
  putU32(to, at, Math.floor(value / 0x1_0000_0000), field)
  return putU32(to, at + 4, value % 0x1_0000_0000, field)
}

export function putBoolean(to: Buffer, at: number, value: boolean, field: string): number {
  if (typeof value !== 'boolean') refuse(field, value)
  to[at] = value ? 1 : 0
  return at + 1
}

/** From ! to ~. */
const FIRST_NAME_CODE = 33
const LAST_NAME_CODE = 126

/** Length byte, then printable ASCII without spaces. */
export function putName(to: Buffer, at: number, value: string, field: string, minBytes = 0): number {
  const { length } = value
  if (length > MAX_NAME_BYTES || length < minBytes) refuse(field, value)
  to[at] = length
  for (let index = 0; index < length; index++) {
    const code = value.charCodeAt(index)
    if (code < FIRST_NAME_CODE || code > LAST_NAME_CODE) refuse(field, value)
    to[at + 1 + index] = code
  }
  return at + 1 + length
}

/** The bytes of a text that must be whole Unicode: no lone surrogate becomes U+FFFD on the way. */
export function textBytes(value: string, maxBytes: number, field: string): Buffer {
  if (/\p{Surrogate}/u.test(value)) refuse(field, 'not well-formed Unicode')
  const bytes = Buffer.from(value, 'utf8')
  if (bytes.length > maxBytes) refuse(`${field}.length`, bytes.length)
  return bytes
}

/** Copies opaque bytes of a bounded length. */
export function putBytes(to: Buffer, at: number, value: Buffer, maxBytes: number, field: string): number {
  if (value.length > maxBytes) refuse(`${field}.length`, value.length)
  return copyBytes(to, at, value)
}

/** What kind of flow stands at `at`, or undefined for one that no socket can have: mixed families, port or address 0. */
export function flowKind(bytes: Buffer, at: number): 'mapped' | 'ipv6' | undefined {
  const client = addressKind(bytes, at)
  if (client === undefined || client !== addressKind(bytes, at + 16)) return undefined
  if ((bytes[at + 32]! | bytes[at + 33]!) === 0 || (bytes[at + 34]! | bytes[at + 35]!) === 0) return undefined
  return client
}

export function addressKind(bytes: Buffer, at: number): 'mapped' | 'ipv6' | undefined {
  const high = bytes.readInt32BE(at) | bytes.readInt32BE(at + 4)
  const third = bytes.readInt32BE(at + 8)
  const low = bytes.readInt32BE(at + 12)
  if (low === 0 && high === 0 && (third === 0 || third === 0xffff)) return undefined
  return high === 0 && third === 0xffff ? 'mapped' : 'ipv6'
}

export function putFlow(to: Buffer, at: number, flow: FlowKey, family: 4 | 6 | 'any' = 'any'): number {
  if (flow.length !== FLOW_KEY_BYTES) refuse('flow.length', flow.length)
  const kind = flowKind(flow, 0)
  if (kind === undefined) refuse('flow', flow.toString('hex'))
  if (family === 4 && kind !== 'mapped') refuse('socketFamily', family)
  if (family !== 4 && family !== 6 && family !== 'any') refuse('socketFamily', family)
  return copyBytes(to, at, flow)
}

/** The 16 bytes of an address of the given family; IPv6 must not be a mapped IPv4 in disguise. */
export function steerAddress(text: string, family: 4 | 6, field: string): Buffer {
  let bytes: Buffer
  try {
    bytes = addressBytes(text)
  } catch {
    return refuse(field, text)
  }
  if (addressKind(bytes, 0) !== (family === 4 ? 'mapped' : 'ipv6')) refuse(field, text)
  return bytes
}
