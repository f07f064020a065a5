import { errorRegistry, isBatonError } from '../errors/index.js'

/**
 * What a command that failed prints, and its exit code: one line for a wrong command line (2), what happened and what to
 * do about it for everything that Baton or the system has a name for (1), a stack trace only for a bug.
 */
export function explain(error: unknown, command: string): { text: string; exitCode: 1 | 2 } {
  if (!(error instanceof Error)) return { text: `baton: ${String(error)}\n`, exitCode: 1 }
  const code = 'code' in error ? String(error.code) : ''
  if (error instanceof TypeError && code.startsWith('ERR_PARSE_ARGS')) {
    // Node's advice after the first sentence is for programmers.
    const [first = ''] = error.message.split('. ')
    return { text: `baton: ${first}; see baton ${command} --help\n`, exitCode: 2 }
  }
  if (isBatonError(error)) {
    const { action } = errorRegistry[error.code]
    return {
      text: `baton: ${error.code}: ${error.message.replace(' \n', '\n')}\n  → ${action}\n`,
      exitCode: 1,
    }
  }
  const system = 'syscall' in error && code !== ''
  return { text: `baton: ${system ? error.message : (error.stack ?? error.message)}\n`, exitCode: 1 }
}
