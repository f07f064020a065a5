/** Whose doing a failure is: it decides who gets told and whether somebody else may be tried. */
export type Side = 'client' | 'frontend' | 'agent' | 'backend' | 'operator'

/** One row of the registry. */
export interface ErrorDefinition {
  readonly side: Side
  /** True when the same step may be tried again, or elsewhere, without harm to the connection. */
  readonly retryable: boolean
  /** One sentence: what happened. */
  readonly summary: string
  /** One sentence: what to do about it. */
  readonly action: string
  /** The status that a client gets, where one is owed. */
  readonly httpStatus?: number
}

/** Keeps the literal codes of a section of the registry in its type. */
export function defineErrors<const T extends Record<string, ErrorDefinition>>(section: T): T {
  return section
}
