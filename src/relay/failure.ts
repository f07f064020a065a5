import { errors } from 'undici'
import { BatonError } from '../errors/index.js'

/** What stood in the way, by where the attempt had got to. @param sent the request had begun to leave */
export function relayError(cause: unknown, sent: boolean): BatonError {
  if (cause instanceof BatonError) return cause
  const detail = cause instanceof Error ? cause.message : String(cause)
  if (cause instanceof errors.ConnectTimeoutError) {
    return new BatonError('BATON_RELAY_CONNECT_TIMEOUT', { detail, cause })
  }
  if (cause instanceof errors.HeadersTimeoutError || cause instanceof errors.BodyTimeoutError) {
    return new BatonError('BATON_RELAY_TIMEOUT', { detail, cause })
  }
  if (cause instanceof errors.InvalidArgumentError || cause instanceof errors.NotSupportedError) {
    return new BatonError('BATON_RELAY_BAD_REQUEST', { detail, cause })
  }
  return new BatonError(sent ? 'BATON_RELAY_UPSTREAM' : 'BATON_RELAY_CONNECT', { detail, cause })
}
