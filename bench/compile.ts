import { spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { packageRoot } from '../src/kernel/native.js'

/** What it is made by, and with which flags before and after the names of the files. */
const compilers = {
  program: { command: 'gcc', before: ['-O2', '-Wall', '-Wextra', '-Werror'], after: ['-lm', '-lbpf'] },
  bpf: {
    command: 'clang',
    before: [
      ...['-target', 'bpf', '-g', '-O2', '-Wall', '-Werror', '-c'],
      `-I/usr/include/${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu`,
    ],
    after: [],
  },
}

/**
 * Compiles one of the C programs of this folder, or with `.bpf.c` an eBPF object, unless that is done.
 * @param source for example `client/client.c` @param also further files, from the package's root @returns the result's path @throws Error with what the compiler says
 */
export function compiled(source: string, also: readonly string[] = []): string {
  const isBpf = source.endsWith('.bpf.c')
  const from = join(packageRoot, 'bench', source)
  const to = join(packageRoot, 'dist/bench', source.replace(/\.c$/, isBpf ? '.o' : ''))
  const made = statSync(to, { throwIfNoEntry: false })
  // Headers stand beside what includes them.
  const beside = readdirSync(dirname(from)).filter((name) => /\.[ch]$/.test(name))
  const others = also.map((path) => join(packageRoot, path))
  const watched = [...beside.map((name) => join(dirname(from), name)), ...others]
  const changedMs = Math.max(...watched.map((path) => statSync(path).mtimeMs))
  if (made !== undefined && made.mtimeMs > changedMs) return to
  mkdirSync(dirname(to), { recursive: true })
  const { command, before, after } = compilers[isBpf ? 'bpf' : 'program']
  const done = spawnSync(command, [...before, '-o', to, from, ...others, ...after], { encoding: 'utf8' })
  if (done.error !== undefined || done.status !== 0) {
    throw new Error(`${command} ${source}: ${done.error?.message ?? done.stderr}`)
  }
  return to
}
