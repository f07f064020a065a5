import type { Duplex } from 'node:stream'
import { Client } from 'undici'
import { BatonError } from '../errors/index.js'
import { type Endpoint, endpointText } from '../kernel/flow.js'
import { authHeaders, type ControlAuth } from './auth.js'
import { CHANNEL_PATH, UPGRADE_TOKENS } from './limits.js'

/** Connecting, TLS and the answer to the upgrade have this long together. */
export const UPGRADE_TIMEOUT_MS = 2_000
const MAX_BODY_BYTES = 2_048

/** An attempt under way. Exactly one of the callbacks is called, once, unless it is cancelled first. */
export interface UpgradeAttempt {
  cancel(): void
}

export interface UpgradeRequest {
  readonly address: Endpoint
  readonly auth: ControlAuth
  /** Upgrade tokens, best first. */
  readonly tokens?: readonly string[]
  onSocket(socket: Duplex): void
  /** BATON_CHANNEL_UNAUTHORIZED, _VERSION or _REFUSED with the peer's status and words; _CONNECT for everything else. */
  onError(error: BatonError): void
}

/**
 * Asks an agent for a channel. It dispatches on undici's own terms rather than by `client.upgrade()`, which hides the
 * status and body of a refusal.
 */
export function requestUpgrade(request: UpgradeRequest): UpgradeAttempt {
  const { address, auth } = request
  const where = endpointText(address)
  const tls = auth.kind === 'tls' ? { cert: auth.cert, key: auth.key, ca: auth.ca } : {}
  const client = new Client(`${auth.kind === 'tls' ? 'https' : 'http'}://${where}`, {
    connect: { ...tls, allowH2: false, noDelay: true, timeout: UPGRADE_TIMEOUT_MS },
    headersTimeout: UPGRADE_TIMEOUT_MS,
    bodyTimeout: UPGRADE_TIMEOUT_MS,
    maxResponseSize: MAX_BODY_BYTES,
  })
  let over = false
  const settle = (tell: () => void) => {
    if (over) return
    over = true
    clearTimeout(timer)
    tell()
    // The upgraded socket is the client's no more; what else it holds goes.
    client.destroy(null, () => {})
  }
  const fail = (error: BatonError) => settle(() => request.onError(error))
  const timer = setTimeout(() => {
    fail(
      new BatonError('BATON_CHANNEL_CONNECT', {
        detail: `${where} did not answer in ${UPGRADE_TIMEOUT_MS} ms.`,
      }),
    )
  }, UPGRADE_TIMEOUT_MS)

  let status = 0
  let body = ''
  const dispatch = () =>
    client.dispatch(
      {
        method: 'GET',
        path: CHANNEL_PATH,
        headers: authHeaders(auth),
        upgrade: (request.tokens ?? UPGRADE_TOKENS).join(', '),
      },
      {
        onRequestStart() {},
        onRequestUpgrade(_controller, _status, _headers, socket) {
          if (over) socket.destroy()
          settle(() => request.onSocket(socket))
        },
        onResponseStart(_controller, answered) {
          status = answered
        },
        onResponseData(_controller, chunk) {
          body += chunk.toString('utf8')
        },
        onResponseEnd() {
          fail(refusal(where, status, body))
        },
        onResponseError(_controller, cause) {
          if (status >= 200) fail(refusal(where, status, body))
          else fail(new BatonError('BATON_CHANNEL_CONNECT', { detail: `${where}: ${cause.message}`, cause }))
        },
      },
    )
  // Not before the caller has the attempt in hand.
  queueMicrotask(() => {
    if (!over) dispatch()
  })
  return {
    cancel: () => settle(() => {}),
  }
}

function refusal(where: string, status: number, body: string): BatonError {
  const code =
    status === 401 || status === 403
      ? 'BATON_CHANNEL_UNAUTHORIZED'
      : status === 426
        ? 'BATON_CHANNEL_VERSION'
        : 'BATON_CHANNEL_REFUSED'
  return new BatonError(code, { detail: `${where} answered ${status}: ${messageOf(body)}` })
}

/** The sentence in an agent's JSON answer, or whatever text another server sent, on one line. */
function messageOf(body: string): string {
  try {
    const parsed: unknown = JSON.parse(body)
    if (typeof parsed === 'object' && parsed !== null && 'message' in parsed) return String(parsed.message)
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error
  }
  return body.replace(/\s+/g, ' ').slice(0, 200)
}
