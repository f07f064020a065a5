// Builds what is not there yet or out of date: the native addon (node-gyp), the eBPF objects (clang), TypeScript (tsc).
// Usage: node deploy/build.mjs [--force]
import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, readdirSync, statSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..')
const force = process.argv.includes('--force')
const addon = join(root, 'build/Release/baton.node')

/** @param {string} label @param {string} command @param {string[]} args */
function run(label, command, args) {
  process.stdout.write(`build: ${label}\n`)
  const done = spawnSync(command, args, { cwd: root, encoding: 'utf8', env: process.env })
  if (done.error || done.status !== 0) {
    process.stderr.write(`${done.stdout ?? ''}${done.stderr ?? ''}`)
    process.stderr.write(`build: ${label} failed: ${done.error?.message ?? `exit ${done.status}`}\n`)
    process.exit(1)
  }
}

/** @param {string} path */
const mtime = (path) => (existsSync(path) ? statSync(path).mtimeMs : 0)

/** Newest change below the given paths, in ms since the epoch. @param {string[]} paths @returns {number} */
function newest(paths) {
  return Math.max(
    0,
    ...paths.map((path) => {
      const full = join(root, path)
      if (!existsSync(full)) return 0
      if (!statSync(full).isDirectory()) return mtime(full)
      return newest(readdirSync(full).map((name) => join(path, name)))
    }),
  )
}

if (force || mtime(addon) < newest(['src/kernel/native', 'binding.gyp'])) {
  const prefix = resolve(dirname(process.execPath), '..')
  const headers = existsSync(join(prefix, 'include/node/node_api.h')) ? [`--nodedir=${prefix}`] : []
  const gyp = join(root, 'node_modules/node-gyp/bin/node-gyp.js')
  run('native addon (node-gyp)', process.execPath, [gyp, 'rebuild', '--silent', ...headers])
}

const bpf = join(root, 'src/kernel/bpf')
const objects = join(root, 'dist/bpf')
mkdirSync(objects, { recursive: true })
for (const name of readdirSync(bpf).filter((file) => file.endsWith('.bpf.c'))) {
  const object = join(objects, name.replace(/\.c$/, '.o'))
  if (!force && mtime(object) >= newest(['src/kernel/bpf'])) continue
  const multiarch = `/usr/include/${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu`
  const args = [
    '-target',
    'bpf',
    '-g',
    '-O2',
    '-Wall',
    '-Werror',
    `-I${multiarch}`,
    '-c',
    join(bpf, name),
    '-o',
    object,
  ]
  run(`eBPF ${name} (clang)`, 'clang', args)
}

const stamp = join(root, 'dist/src/cli/main.js')
if (force || mtime(stamp) < newest(['src', 'test', 'bench', 'tsconfig.json', 'package.json'])) {
  run('TypeScript (tsc)', process.execPath, [
    join(root, 'node_modules/typescript/bin/tsc'),
    '-p',
    'tsconfig.json',
  ])
  const pages = join(root, 'src/frontend/pages')
  if (existsSync(pages)) cpSync(pages, join(root, 'dist/src/frontend/pages'), { recursive: true })
}
