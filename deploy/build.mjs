// Builds what is not there yet or out of date: the native addon (node-gyp), the eBPF objects (clang), TypeScript (tsc).
// Each step keeps a list of what it was made from (names, sizes, times); a list that differs means: make it anew.
// An installed package brings the eBPF objects and the JavaScript; there only the addon is made (npx baton build).
// Everything it says goes to stderr. Usage: node deploy/build.mjs [--force]
import { spawnSync } from 'node:child_process'
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..')
const force = process.argv.includes('--force')
const installed = !existsSync(join(root, 'src/index.ts'))

/** @param {string} label @param {string} command @param {string[]} args */
function run(label, command, args) {
  process.stderr.write(`build: ${label}\n`)
  const done = spawnSync(command, args, { cwd: root, encoding: 'utf8', env: process.env })
  if (done.error || done.status !== 0) {
    process.stderr.write(`${done.stdout ?? ''}${done.stderr ?? ''}`)
    process.stderr.write(`build: ${label} failed: ${done.error?.message ?? `exit ${done.status}`}\n`)
    process.exit(1)
  }
}

/** One line for each file below the paths. @param {string[]} paths @returns {string[]} */
function inventory(paths) {
  return paths.flatMap((path) => {
    const stat = statSync(join(root, path), { throwIfNoEntry: false })
    if (stat === undefined) return []
    if (stat.isDirectory())
      return inventory(
        readdirSync(join(root, path))
          .sort()
          .map((name) => join(path, name)),
      )
    return [`${path} ${stat.size} ${stat.mtimeMs}`]
  })
}

/**
 * Runs `make` unless `product` is there and was made from the very same inputs.
 * @param {string} product @param {string[]} inputs @param {() => void} make
 */
function step(product, inputs, make) {
  const stamp = join(root, `${product}.inputs`)
  const now = `${process.version} ${process.arch}\n${inventory(inputs).join('\n')}\n`
  if (!force && existsSync(join(root, product)) && existsSync(stamp) && readFileSync(stamp, 'utf8') === now)
    return
  rmSync(stamp, { force: true })
  make()
  writeFileSync(stamp, now)
}

step('build/Release/baton.node', ['src/kernel/native', 'binding.gyp'], () => {
  // Headers that came with this Node, where they did; else node-gyp fetches those of its version.
  const prefix = resolve(dirname(process.execPath), '..')
  const headers = existsSync(join(prefix, 'include/node/node_api.h')) ? [`--nodedir=${prefix}`] : []
  run('native addon (node-gyp)', process.execPath, [nodeGyp(), 'rebuild', '--silent', ...headers])
})

/** In a checkout a dependency; else npm's own, which it names in the environment of what it runs. */
function nodeGyp() {
  const npm = spawnSync('npm', ['root', '--global'], { encoding: 'utf8' }).stdout?.trim() ?? ''
  const places = [
    join(root, 'node_modules/node-gyp/bin/node-gyp.js'),
    process.env.npm_config_node_gyp ?? '',
    join(npm, 'npm/node_modules/node-gyp/bin/node-gyp.js'),
  ]
  const found = places.find((path) => path !== '' && existsSync(path))
  if (found !== undefined) return found
  process.stderr.write(`build: node-gyp, which comes with npm, is in none of: ${places.join(' ')}\n`)
  process.exit(1)
}

if (installed) process.exit(0)

const bpf = join(root, 'src/kernel/bpf')
mkdirSync(join(root, 'dist/bpf'), { recursive: true })
const programs = existsSync(bpf) ? readdirSync(bpf).filter((file) => file.endsWith('.bpf.c')) : []
for (const name of programs) {
  const object = join('dist/bpf', name.replace(/\.c$/, '.o'))
  step(object, ['src/kernel/bpf'], () => {
    const multiarch = `/usr/include/${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu`
    const flags = ['-target', 'bpf', '-g', '-O2', '-Wall', '-Werror', `-I${multiarch}`]
    run(`eBPF ${name} (clang)`, 'clang', [...flags, '-c', join(bpf, name), '-o', join(root, object)])
  })
}

step('dist/src/cli/main.js', ['src', 'test', 'bench', 'tsconfig.json', 'package.json'], () => {
  // Outputs of files that are gone would still be run as tests or imported.
  for (const folder of ['src', 'test', 'bench'])
    rmSync(join(root, 'dist', folder), { recursive: true, force: true })
  const tsc = join(root, 'node_modules/typescript/bin/tsc')
  run('TypeScript (tsc)', process.execPath, [tsc, '-p', 'tsconfig.json'])
  const pages = join(root, 'src/frontend/pages')
  if (existsSync(pages)) cpSync(pages, join(root, 'dist/src/frontend/pages'), { recursive: true })
})
