import { adoptErrors } from './adopt.js'
import { agentErrors } from './agent.js'
import { configErrors } from './config.js'
import type { ErrorDefinition, Side } from './define.js'
import { frontendErrors } from './frontend.js'
import { gateErrors } from './gate.js'
import { handoffErrors } from './handoff.js'
import { kernelErrors } from './kernel.js'
import { labErrors } from './lab.js'
import { proxyErrors } from './proxy.js'
import { registryErrors } from './registry.js'
import { repairErrors } from './repair.js'
import { routingErrors } from './routing.js'
import { steeringErrors } from './steering.js'

/** Every error code of Baton, in the order in which a connection meets them. docs/errors.md is made from it. */
export const errorRegistry = {
  ...configErrors,
  ...kernelErrors,
  ...gateErrors,
  ...proxyErrors,
  ...routingErrors,
  ...repairErrors,
  ...steeringErrors,
  ...handoffErrors,
  ...registryErrors,
  ...frontendErrors,
  ...agentErrors,
  ...adoptErrors,
  ...labErrors,
} satisfies Record<string, ErrorDefinition>

export type ErrorCode = keyof typeof errorRegistry
export type { ErrorDefinition, Side } from './define.js'

/** What else is known about a failure. */
export interface ErrorContext {
  /** What exactly happened here; added to the summary. */
  readonly detail?: string
  readonly cause?: unknown
  /** The system call or phase that failed. */
  readonly step?: string
  /** The positive errno of that step. */
  readonly errno?: number
}

/** The one error class: callers decide by code, side and retryable, never by text. */
export class BatonError extends Error {
  override readonly name = 'BatonError'
  readonly code: ErrorCode
  readonly side: Side
  readonly retryable: boolean
  readonly httpStatus: number | undefined
  readonly step: string | undefined
  readonly errno: number | undefined

  constructor(code: ErrorCode, context: ErrorContext = {}) {
    const row: ErrorDefinition = errorRegistry[code]
    super(context.detail === undefined ? row.summary : `${row.summary} ${context.detail}`, {
      cause: context.cause,
    })
    this.code = code
    this.side = row.side
    this.retryable = row.retryable
    this.httpStatus = row.httpStatus
    this.step = context.step
    this.errno = context.errno
  }
}

/** A server could not listen. @param place the key in the configuration, for example `admin.address` */
export function listenError(place: string, cause: unknown): BatonError {
  const why = cause instanceof Error ? cause.message : String(cause)
  return new BatonError('BATON_LISTEN', { detail: `${place}: ${why}`, cause })
}

/** Narrows what a catch clause got. */
export function isBatonError(error: unknown, code?: ErrorCode): error is BatonError {
  return error instanceof BatonError && (code === undefined || error.code === code)
}
