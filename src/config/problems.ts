/** A place in a file as a list of keys and indexes, from the top. */
export type KeyPath = readonly (string | number)[]

/** One mistake in a configuration file. */
export interface Problem {
  readonly file: string
  /** From 1; 1 also where the place is not known, and 0 where there is no text: the options of a program. */
  readonly line: number
  readonly column: number
  /** For example `pools.media.backends[0].agent`; empty for the file as a whole. */
  readonly path: string
  /** What is wrong, and what was expected. */
  readonly message: string
  /** A warning does not keep the file from being used. */
  readonly severity: 'error' | 'warning'
}

/** Receives mistakes while a file is checked; knows where each key stands. */
export interface Reporter {
  /** @param at 'key' points at the key instead of its value */
  error(path: KeyPath, message: string, at?: 'key' | 'value'): void
  warning(path: KeyPath, message: string, at?: 'key' | 'value'): void
}

export function formatPath(path: KeyPath): string {
  let text = ''
  for (const step of path) {
    if (typeof step === 'number') text += `[${step}]`
    else text += text === '' ? step : `.${step}`
  }
  return text
}

/** `file:line:column path: what is wrong, what was expected`; without a text no line and column. */
export function formatProblem(problem: Problem): string {
  const place = problem.line === 0 ? problem.file : `${problem.file}:${problem.line}:${problem.column}`
  const path = problem.path === '' ? '' : ` ${problem.path}:`
  const warning = problem.severity === 'warning' ? ' warning:' : ''
  return `${place}${warning}${path} ${problem.message}`
}
