import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { packageRoot } from '../kernel/native.js'

/**
 * `baton build`: what npm does not do by itself, since from version 11 on it runs no install scripts. Needs a compiler,
 * make, python3 and libbpf's headers. @returns the builder's exit code
 */
export async function run(argv: readonly string[]): Promise<number> {
  const { values } = parseArgs({ args: [...argv], options: { force: { type: 'boolean', default: false } } })
  const args = [join(packageRoot, 'deploy/build.mjs'), ...(values.force ? ['--force'] : [])]
  const { status, error } = spawnSync(process.execPath, args, { stdio: 'inherit' })
  if (error !== undefined) throw error
  if (status === 0) process.stdout.write(`baton: ${join(packageRoot, 'build/Release/baton.node')} is there\n`)
  return status ?? 1
}
