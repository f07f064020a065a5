import type { IncomingMessage } from 'node:http'
import { type ControlAuth, whyUnauthorized } from './auth.js'
import { UPGRADE_TOKENS } from './limits.js'

/** What the agent's control address answers to a request for a channel. */
export type Admission =
  | { readonly kind: 'admitted'; readonly token: string }
  | {
      readonly kind: 'refused'
      readonly status: 401 | 404 | 405 | 426
      readonly headers: Readonly<Record<string, string>>
      readonly body: RefusalBody
    }

export interface RefusalBody {
  readonly error: string
  readonly message: string
  /** Upgrade tokens that would be taken; only told to a peer that proved itself. */
  readonly supported?: readonly string[]
}

/** Judges a request: first who asks, then what for. */
export function admit(auth: ControlAuth, request: IncomingMessage, knownPath: boolean): Admission {
  const reason = whyUnauthorized(auth, request)
  if (reason !== undefined) {
    const headers: Record<string, string> = auth.kind === 'token' ? { 'www-authenticate': 'Bearer' } : {}
    return refused(401, headers, { error: 'BATON_CHANNEL_UNAUTHORIZED', message: reason })
  }
  if (!knownPath)
    return refused(404, {}, { error: 'BATON_CHANNEL_REFUSED', message: 'No channel at this path.' })
  if (request.method !== 'GET') {
    return refused(
      405,
      { allow: 'GET' },
      { error: 'BATON_CHANNEL_REFUSED', message: 'A channel is opened by GET.' },
    )
  }
  const offered = (request.headers.upgrade ?? '').split(',').map((token) => token.trim().toLowerCase())
  const token = UPGRADE_TOKENS.find((supported) => offered.includes(supported))
  if (token !== undefined) return { kind: 'admitted', token }
  const message = offered.some((one) => one.startsWith('baton/'))
    ? `This side speaks ${UPGRADE_TOKENS.join(', ')}.`
    : `A channel is opened by Upgrade: ${UPGRADE_TOKENS[0]}.`
  const headers = { upgrade: UPGRADE_TOKENS.join(', ') }
  return refused(426, headers, { error: 'BATON_CHANNEL_VERSION', message, supported: UPGRADE_TOKENS })
}

function refused(
  status: 401 | 404 | 405 | 426,
  headers: Record<string, string>,
  body: RefusalBody,
): Admission {
  return { kind: 'refused', status, headers, body }
}
