import { Cursor } from './cursor.js'
import { readFirstMessage } from './handshake-records.js'
import { type BadHead, bad, type HeadResult, incomplete } from './head-result.js'
import { alpnExtension, readAlpn, readServerName, serverNameExtension } from './hello-extensions.js'

/** What routing needs of a TLS ClientHello. The bytes themselves travel on as they came, and nobody here answers them. */
export interface ClientHello {
  readonly kind: 'tls'
  /**
   * The server name, lower case, without trailing dot; null when the client sends none. With Encrypted Client Hello it
   * is the outer one, which is all that anybody without the key can see.
   */
  readonly sni: string | null
  /** The application protocols that the client offers, in its order, one character a byte: `h2`, `http/1.1`; GREASE too. */
  readonly alpn: readonly string[]
  /** `legacy_version`: 0x0301 for TLS 1.0 to 0x0303 for TLS 1.2 and 1.3. An alert to this client is sent with it. */
  readonly version: number
  /** Of the records that hold it. */
  readonly headBytes: number
}

/** No hello is larger, whatever the listener's limit. */
export const MAX_CLIENT_HELLO_BYTES = 64 * 1024

const PRE_SHARED_KEY = 41
const RANDOM_BYTES = 32
const MAX_SESSION_ID_BYTES = 32

/**
 * Reads a TLS ClientHello (RFC 8446, 4.1.2; RFC 5246, 7.4.1.2) in as many records as it comes. Strict where two readers
 * could differ, so that the name that is routed by is the name that the server will see: every length must fit exactly,
 * no extension may come twice, a server name list has one name. What does not matter to routing (ciphers, key shares,
 * extensions that nobody knows, GREASE) is skipped.
 */
export function readClientHello(
  bytes: Buffer,
  length: number,
  maxHeadBytes: number,
): HeadResult<ClientHello> {
  const limit = Math.min(maxHeadBytes, MAX_CLIENT_HELLO_BYTES)
  const message = readFirstMessage(bytes, length, limit)
  if (message.kind === 'bad') return message
  if (message.kind === 'incomplete') {
    return length >= limit ? bad('BATON_GATE_TLS_TOO_LARGE', `The limit is ${limit} bytes.`) : incomplete
  }
  return readBody(message.body, message.headBytes)
}

function readBody(body: Buffer, headBytes: number): HeadResult<ClientHello> {
  const hello = new Cursor(body)
  const version = hello.number(2)
  if (version === undefined) return cut('version')
  // A higher minor version is one to come; its server answers with what it has (RFC 5246, E.1).
  if (version >> 8 !== 3 || version < 0x0301) {
    return bad('BATON_GATE_TLS_VERSION', `It is 0x${version.toString(16).padStart(4, '0')}.`)
  }
  if (hello.take(RANDOM_BYTES) === undefined) return cut('random')
  const sessionId = hello.vector(1)
  if (sessionId === undefined || sessionId.length > MAX_SESSION_ID_BYTES) return cut('session id')
  const ciphers = hello.vector(2)
  if (ciphers === undefined || ciphers.length < 2 || ciphers.length % 2 !== 0) return cut('cipher suites')
  const compressions = hello.vector(1)
  if (compressions === undefined || compressions.length === 0) return cut('compression methods')
  const plain: ClientHello = { kind: 'tls', sni: null, alpn: [], version, headBytes }
  // Before extensions there was none (RFC 5246, 7.4.1.2).
  if (hello.left === 0) return { kind: 'head', head: plain }
  const extensions = hello.vector(2)
  if (extensions === undefined || hello.left > 0) return cut('extensions')
  return readExtensions(extensions, plain)
}

function readExtensions(extensions: Buffer, plain: ClientHello): HeadResult<ClientHello> {
  const seen = new Set<number>()
  const list = new Cursor(extensions)
  let { sni, alpn } = plain
  while (list.left > 0) {
    const type = list.number(2)
    const data = list.vector(2)
    if (type === undefined || data === undefined) return cut('extensions')
    if (seen.has(type)) return bad('BATON_GATE_TLS_PARAMETER', `Extension ${type} comes twice.`)
    if (seen.has(PRE_SHARED_KEY)) {
      return bad('BATON_GATE_TLS_PARAMETER', 'An extension follows the pre-shared key.')
    }
    seen.add(type)
    if (type === serverNameExtension) {
      const name = readServerName(data)
      if (typeof name !== 'string') return name
      sni = name
    } else if (type === alpnExtension) {
      const offered = readAlpn(data)
      if ('kind' in offered) return offered
      alpn = offered
    }
  }
  return { kind: 'head', head: { ...plain, sni, alpn } }
}

function cut(what: string): BadHead {
  return bad('BATON_GATE_TLS_HELLO', `At its ${what}.`)
}
