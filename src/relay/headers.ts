import type { IncomingMessage } from 'node:http'
import { isIPv6 } from 'node:net'

/** RFC 9110, section 7.6.1, and what only ever concerned one connection. */
const hopByHop = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'proxy-authenticate',
  'proxy-authorization',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])

/** Field names that a Connection field names, in lower case. */
function connectionOptions(values: readonly string[]): ReadonlySet<string> | undefined {
  if (values.length === 0) return undefined
  const names = new Set<string>()
  for (const value of values) {
    for (const token of value.split(',')) names.add(token.trim().toLowerCase())
  }
  return names
}

export interface ForwardOptions {
  /** How the client reached us. */
  readonly proto: 'http' | 'https'
  /**
   * What to do with X-Forwarded-For and Forwarded that the client sent: `append` adds to them, `replace` throws them
   * away (the first proxy on the way should), `off` passes everything on untouched.
   */
  readonly forwarded: 'append' | 'replace' | 'off'
}

/** A client's address as the forwarding fields want it: without the v4-mapped prefix. */
function clientAddress(request: IncomingMessage): string {
  const address = request.socket.remoteAddress ?? 'unknown'
  return address.startsWith('::ffff:') ? address.slice(7) : address
}

/** RFC 7239, section 4: a quoted string unless it is a token. */
function quoted(value: string): string {
  return /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(value) ? value : `"${value.replace(/["\\]/g, '\\$&')}"`
}

/** The target in origin form and the host it is meant for (RFC 9112, section 3.2); undefined when it is neither. */
export function originForm(
  target: string,
): { readonly path: string; readonly host: string | null } | undefined {
  if (target.startsWith('/')) return { path: target, host: null }
  const absolute = /^https?:\/\/([^/?#]+)([^#]*)$/i.exec(target)
  if (!absolute) return undefined
  const authority = absolute[1] ?? ''
  const rest = absolute[2] ?? ''
  return {
    path: rest.startsWith('/') ? rest : `/${rest}`,
    host: authority.slice(authority.lastIndexOf('@') + 1),
  }
}

/**
 * The fields of a request as they go to the application, flat (name, value, …): hop-by-hop fields are gone, so is
 * Expect (we answer it), Host is kept, and who the client is has been added.
 * @param host replaces Host; null keeps the client's
 */
export function requestFields(
  request: IncomingMessage,
  host: string | null,
  options: ForwardOptions,
): string[] {
  const raw = request.rawHeaders
  const listed = connectionOptions(request.headersDistinct.connection ?? [])
  const fields: string[] = []
  const xff: string[] = []
  const forwarded: string[] = []
  const ours = options.forwarded !== 'off'
  let originalHost = ''
  for (let index = 0; index < raw.length; index += 2) {
    const name = raw[index] ?? ''
    const value = raw[index + 1] ?? ''
    const lower = name.toLowerCase()
    if (hopByHop.has(lower) || lower === 'expect') continue
    // Nobody may have these stripped by naming them in Connection.
    if (lower === 'host') {
      originalHost = value
      fields.push(name, host ?? value)
      continue
    }
    if (lower !== 'content-length' && listed?.has(lower)) continue
    if (ours) {
      if (lower === 'x-forwarded-for') xff.push(value)
      if (lower === 'forwarded') forwarded.push(value)
      if (lower.startsWith('x-forwarded-') && /^(for|proto|host)$/.test(lower.slice(12))) continue
      if (lower === 'forwarded') continue
    }
    fields.push(name, value)
  }
  if (!ours) return fields
  const address = clientAddress(request)
  if (options.forwarded === 'replace') {
    xff.length = 0
    forwarded.length = 0
  }
  const asked = host ?? originalHost
  const node = isIPv6(address) ? `"[${address}]"` : address
  forwarded.push(`for=${node};proto=${options.proto}${asked === '' ? '' : `;host=${quoted(asked)}`}`)
  xff.push(address)
  fields.push('X-Forwarded-For', xff.join(', '), 'X-Forwarded-Proto', options.proto)
  if (asked !== '') fields.push('X-Forwarded-Host', asked)
  fields.push('Forwarded', forwarded.join(', '))
  return fields
}

/** Fields as undici has them: a list of buffers or strings, name and value in turn. */
export type RawFields = readonly (Buffer | string | readonly (Buffer | string)[])[]

function text(value: Buffer | string): string {
  return typeof value === 'string' ? value : value.toString('latin1')
}

/** Flattens undici's raw fields to name, value, … */
export function flatFields(raw: RawFields): string[] {
  const flat: string[] = []
  for (let index = 0; index + 1 < raw.length; index += 2) {
    const name = raw[index]
    const value = raw[index + 1]
    if (name === undefined || value === undefined || (typeof name !== 'string' && !Buffer.isBuffer(name)))
      continue
    const values = typeof value === 'string' || Buffer.isBuffer(value) ? [value] : value
    for (const each of values) flat.push(text(name), text(each))
  }
  return flat
}

/** The fields of an answer as they go to the client, flat: names and order as the application wrote them. */
export function responseFields(flat: readonly string[]): string[] {
  const connection: string[] = []
  for (let index = 0; index < flat.length; index += 2) {
    if (flat[index]?.toLowerCase() === 'connection') connection.push(flat[index + 1] ?? '')
  }
  const listed = connectionOptions(connection)
  const fields: string[] = []
  for (let index = 0; index < flat.length; index += 2) {
    const name = flat[index] ?? ''
    const lower = name.toLowerCase()
    if (hopByHop.has(lower) && lower !== 'trailer' && lower !== 'proxy-authenticate') continue
    if (lower !== 'content-length' && listed?.has(lower)) continue
    fields.push(name, flat[index + 1] ?? '')
  }
  return fields
}
