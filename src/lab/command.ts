import { spawnSync } from 'node:child_process'
import { BatonError } from '../errors/index.js'

/** Where `ip netns` keeps its namespaces. */
export const netnsFolder = '/run/netns'

/**
 * Runs a short set-up command to its end and returns its stdout. Synchronous on purpose: it also has to work while the
 * process exits. @throws BatonError BATON_LAB_COMMAND
 */
export function runNow(command: string, args: readonly string[], input = ''): string {
  const done = spawnSync(command, args, { input, encoding: 'utf8', timeout: 20_000 })
  if (done.error || done.status !== 0) {
    const why = done.error?.message ?? `exit ${done.status ?? done.signal}`
    const detail = `${command} ${args.join(' ')}: ${why}\n${done.stderr ?? ''}${numbered(input)}`
    throw new BatonError('BATON_LAB_COMMAND', { detail, cause: done.error, step: command })
  }
  return done.stdout
}

/** The lines of a batch as ip counts them in its messages. */
function numbered(input: string): string {
  if (input === '') return ''
  return input
    .split('\n')
    .map((line, index) => `${index + 1}: ${line}`)
    .join('\n')
}

/** One `ip -batch` for many commands, in a namespace or in this process's own. @throws BatonError BATON_LAB_COMMAND */
export function ipBatch(lines: readonly string[], namespace?: string): void {
  if (lines.length === 0) return
  const input = `${lines.join('\n')}\n`
  if (namespace === undefined) runNow('ip', ['-batch', '-'], input)
  else runNow('nsenter', [`--net=${netnsFolder}/${namespace}`, 'ip', '-batch', '-'], input)
}
