import { BatonError, type ErrorCode } from '../errors/index.js'

/** The error for a kernel call that failed, with its step and errno, and the verifier's last words where there are any. */
export function kernelFailure(code: ErrorCode, cause: unknown, about?: string): BatonError {
  const { step, errno, log: said } = nativeFields(cause)
  const text = cause instanceof Error ? cause.message : String(cause)
  const log = said ? `\n${said.slice(-1500)}` : ''
  return new BatonError(code, {
    detail: `${about === undefined ? '' : `${about}: `}${text}${log}`,
    cause,
    ...(step === undefined ? {} : { step }),
    ...(errno === undefined ? {} : { errno }),
  })
}

/** Runs a kernel call, and gives its failure a code. */
export function orFail<T>(code: ErrorCode, about: string | undefined, call: () => T): T {
  try {
    return call()
  } catch (cause) {
    if (cause instanceof BatonError) throw cause
    throw kernelFailure(code, cause, about)
  }
}

/** The system call or step in which the addon failed; undefined for other errors. */
export function failedStep(error: unknown): string | undefined {
  return nativeFields(error).step
}

/** What the addon's errors carry. */
function nativeFields(error: unknown): { step?: string; errno?: number; log?: string } {
  if (!(error instanceof Error)) return {}
  return {
    ...('step' in error && typeof error.step === 'string' ? { step: error.step } : {}),
    ...('errno' in error && typeof error.errno === 'number' ? { errno: error.errno } : {}),
    ...('log' in error && typeof error.log === 'string' ? { log: error.log } : {}),
  }
}
