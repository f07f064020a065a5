import { spawnSync } from 'node:child_process'
import { mkdirSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { packageRoot } from '../src/kernel/native.js'

/**
 * Compiles one of the C programs of this folder unless that is done.
 * @param source for example `client/client.c` @returns the program's path @throws Error with what gcc says
 */
export function compiled(source: string): string {
  const from = join(packageRoot, 'bench', source)
  const to = join(packageRoot, 'dist/bench', source.replace(/\.c$/, ''))
  const made = statSync(to, { throwIfNoEntry: false })
  if (made !== undefined && made.mtimeMs > statSync(from).mtimeMs) return to
  mkdirSync(dirname(to), { recursive: true })
  const flags = ['-O2', '-Wall', '-Wextra', '-Werror', '-o', to, from, '-lm']
  const done = spawnSync('gcc', flags, { encoding: 'utf8' })
  if (done.error !== undefined || done.status !== 0) {
    throw new Error(`gcc ${source}: ${done.error?.message ?? done.stderr}`)
  }
  return to
}
