// Runs every compiled *.test.js below dist/test with node's own runner, one process a file.
// Usage: node deploy/test.mjs [part of a path …] — only the files whose path contains one of the parts.
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..')
const wanted = process.argv.slice(2)
const folder = join(root, 'dist/test')
if (!existsSync(folder)) {
  process.stderr.write('test: nothing is built yet: npm run build\n')
  process.exit(1)
}
const files = readdirSync(folder, { recursive: true })
  .map((name) => join('dist/test', String(name)))
  .filter((name) => name.endsWith('.test.js'))
  .filter((name) => wanted.length === 0 || wanted.some((part) => name.includes(part)))
  .sort()
if (files.length === 0) {
  process.stderr.write(`test: no test file matches ${wanted.join(' ')}\n`)
  process.exit(1)
}

// A test run that was killed could not remove its namespaces; nobody else will.
const { cleanStale } = await import(join(root, 'dist/src/lab/index.js'))
const stale = cleanStale()
if (stale.length > 0) process.stderr.write(`test: removed what a killed run left: ${stale.join(' ')}\n`)

// Two at a time; a test that hangs fails after ten minutes instead of holding everything up.
const args = ['--test', '--test-reporter=spec', '--test-concurrency=2', '--test-timeout=600000', ...files]
const done = spawnSync(process.execPath, args, { cwd: root, stdio: 'inherit' })
// Elsewhere another run on this machine may have been killed just now; CI is alone, and there it is a failure.
const left = cleanStale()
if (left.length > 0) process.stderr.write(`test: namespaces were left behind: ${left.join(' ')}\n`)
process.exit(done.status === 0 && left.length > 0 && process.env.CI ? 1 : (done.status ?? 1))
