// Runs every compiled *.test.js below dist/test with node's own runner, one process a file.
// Usage: node deploy/test.mjs [part of a path …] — only the files whose path contains one of the parts.
import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..')
const wanted = process.argv.slice(2)
const files = readdirSync(join(root, 'dist/test'), { recursive: true })
  .map((name) => join('dist/test', String(name)))
  .filter((name) => name.endsWith('.test.js'))
  .filter((name) => wanted.length === 0 || wanted.some((part) => name.includes(part)))
  .sort()
if (files.length === 0) {
  process.stderr.write(`no test file matches ${wanted.join(' ')}\n`)
  process.exit(1)
}
const args = ['--test', '--test-reporter=spec', '--test-concurrency=2', ...files]
const done = spawnSync(process.execPath, args, { cwd: root, stdio: 'inherit' })
process.exit(done.status ?? 1)
