import type { IncomingMessage } from 'node:http'
import type { ClientFields } from '../telemetry/index.js'
import { type Head, isWhole } from './head.js'

/** Longer values are cut. */
const MAX_CHARS = 256
const REFERER = /\r\nreferer:[ \t]*([^\r\n]*)/i
const USER_AGENT = /\r\nuser-agent:[ \t]*([^\r\n]*)/i

/**
 * What the Apache formats of the access log say of a client. Looked for only where such a format is configured: it is
 * the one thing of a handed-over request that nothing else here needs.
 * @param bytes begin with the head
 */
export function readClientFields(bytes: Buffer, head: Head): ClientFields | undefined {
  if (isWhole(head)) return undefined
  const text = bytes.toString('latin1', 0, head.headBytes)
  const value = (pattern: RegExp) => cut(pattern.exec(text)?.[1])
  return { httpVersion: head.httpVersion, referer: value(REFERER), userAgent: value(USER_AGENT) }
}

/** The same of a request that is relayed. */
export function clientFieldsOf({ headers, httpVersion }: IncomingMessage): ClientFields {
  return { httpVersion, referer: cut(headers.referer), userAgent: cut(headers['user-agent']) }
}

function cut(value: string | undefined): string | null {
  const text = value?.trimEnd()
  return text === undefined || text === '' ? null : text.slice(0, MAX_CHARS)
}
