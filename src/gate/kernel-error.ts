import { constants } from 'node:os'
import { BatonError, type ErrorCode } from '../errors/index.js'

const codes: Record<number, ErrorCode> = {
  [constants.errno.EADDRINUSE]: 'BATON_GATE_ADDRESS_IN_USE',
  [constants.errno.EADDRNOTAVAIL]: 'BATON_GATE_ADDRESS_NOT_LOCAL',
  [constants.errno.EACCES]: 'BATON_GATE_LISTEN_DENIED',
}

/** Gives an error of a native call the code that says what to do, and keeps step, errno and cause. */
export function kernelError(cause: unknown, otherwise: ErrorCode, subject: string): BatonError {
  const step =
    cause instanceof Error && 'step' in cause && typeof cause.step === 'string' ? cause.step : undefined
  const errno =
    cause instanceof Error && 'errno' in cause && typeof cause.errno === 'number' ? cause.errno : undefined
  const code = otherwise === 'BATON_GATE_LISTEN' && errno !== undefined ? codes[errno] : undefined
  const message = cause instanceof Error ? cause.message : String(cause)
  return new BatonError(code ?? otherwise, {
    detail: `${subject}: ${message}`,
    cause,
    ...(step === undefined ? {} : { step }),
    ...(errno === undefined ? {} : { errno }),
  })
}
