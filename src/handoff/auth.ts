import { createHash, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { ServerOptions as TlsServerOptions } from 'node:https'
import { TLSSocket } from 'node:tls'
import { BatonError } from '../errors/index.js'

/**
 * How both ends of a control channel prove themselves. `token`: a secret for one trusted segment, at least 32
 * characters of [A-Za-z0-9._~+/=-]. `tls`: PEM texts; each side checks the other's certificate against `ca`, and the
 * dialling side also that it names the address it dialled (an IP address as subjectAltName).
 */
export type ControlAuth =
  | { readonly kind: 'token'; readonly token: string }
  | { readonly kind: 'tls'; readonly cert: string; readonly key: string; readonly ca: string }

export const MIN_TOKEN_BYTES = 32
/** RFC 6750 b64token. */
const tokenPattern = /^[A-Za-z0-9._~+/=-]+$/

/** @throws BatonError BATON_CHANNEL_AUTH when the token is too short to be a secret or cannot stand in a header */
export function checkAuth(auth: ControlAuth): void {
  if (auth.kind === 'token') {
    if (auth.token.length < MIN_TOKEN_BYTES) {
      throw new BatonError('BATON_CHANNEL_AUTH', { detail: `The token has ${auth.token.length} characters.` })
    }
    if (!tokenPattern.test(auth.token)) {
      throw new BatonError('BATON_CHANNEL_AUTH', { detail: 'The token holds another character.' })
    }
    return
  }
  for (const field of ['cert', 'key', 'ca'] as const) {
    if (!auth[field].includes('-----BEGIN ')) {
      throw new BatonError('BATON_CHANNEL_AUTH', { detail: `tls.${field} is not PEM.` })
    }
  }
}

/**
 * Options for `fastify({ https })` on the agent; null with a token: plain HTTP. A peer without a good certificate gets
 * through the TLS handshake only to be answered 401: the check is {@link whyUnauthorized}, on every request.
 */
export function controlServerTls(auth: ControlAuth): TlsServerOptions | null {
  if (auth.kind === 'token') return null
  const { cert, key, ca } = auth
  return { cert, key, ca, minVersion: 'TLSv1.3', requestCert: true, rejectUnauthorized: false }
}

/** Headers by which the dialling side proves itself. */
export function authHeaders(auth: ControlAuth): Record<string, string> {
  return auth.kind === 'token' ? { authorization: `Bearer ${auth.token}` } : {}
}

const digest = (text: string) => createHash('sha256').update(text).digest()

/** Undefined for a peer that proved itself; else one sentence why not, which gives nothing away. */
export function whyUnauthorized(auth: ControlAuth, request: IncomingMessage): string | undefined {
  if (auth.kind === 'tls') {
    const { socket } = request
    if (!(socket instanceof TLSSocket)) return 'TLS is required.'
    return socket.authorized ? undefined : 'A client certificate of the configured CA is required.'
  }
  const given = /^Bearer +(\S+) *$/i.exec(request.headers.authorization ?? '')?.[1]
  if (given === undefined) return 'A bearer token is required.'
  // Digests have one length, so the comparison tells neither length nor first difference.
  return timingSafeEqual(digest(given), digest(auth.token)) ? undefined : 'The bearer token is not accepted.'
}
