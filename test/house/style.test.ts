import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { test } from 'node:test'
import { packageRoot } from '../../src/kernel/native.js'
import { sources } from './sources.js'

const product = sources('src')
const everything = [...product, ...sources('test')]

/** Places in the files that match, without those of this file, which has to name them. */
function places(pattern: RegExp): string[] {
  return everything
    .filter(({ path }) => path !== 'test/house/style.test.ts')
    .flatMap(({ path, text }) =>
      text
        .split('\n')
        .flatMap((line, index) => (pattern.test(line) ? [`${path}:${index + 1}: ${line.trim()}`] : [])),
    )
}

test('formatter and linter are content', () => {
  const biome = join(packageRoot, 'node_modules/.bin/biome')
  const done = spawnSync(biome, ['ci', '--colors=off', '.'], { cwd: packageRoot, encoding: 'utf8' })
  const said = `${done.stdout}${done.stderr}`
  assert.equal(done.status, 0, said)
  assert.match(said, /Checked \d+ files/)
})

test('no type is any, and none is forced', () => {
  assert.deepEqual(places(/(?:[:<,|&] ?|\bas )any\b(?! [a-z])(?=[\s;,)>[\]|&=]|$)/), [])
  assert.deepEqual(places(/@ts-(?:ignore|expect-error|nocheck)/), [])
})

test('nothing is left for later in the code', () => {
  assert.deepEqual(places(/\b(?:TODO|FIXME|XXX|HACK)\b/), [])
})

test('no catch swallows what it caught', () => {
  const empty = /\bcatch\s*(?:\([^)]*\)\s*)?\{\s*\}/
  assert.deepEqual(
    everything.filter(({ text }) => empty.test(text)).map(({ path }) => path),
    [],
  )
})

test('no test is skipped or kept alone', () => {
  assert.deepEqual(places(/\b(?:test|it|describe|suite)\.(?:only|skip|todo)\b/), [])
})

/** Files over 400 lines, and why they are not taken apart. */
const reasons: Readonly<Record<string, string>> = {}

test('files are small: a median near 80 lines, and a reason for each over 250', (t) => {
  const lengths = product.map(({ lines }) => lines).sort((a, b) => a - b)
  const median = lengths[Math.floor(lengths.length / 2)] ?? 0
  const long = product.filter(({ lines }) => lines > 250)
  t.diagnostic(`${lengths.length} files below src, median ${median} lines`)
  for (const { path, lines } of long) t.diagnostic(`${path} has ${lines} lines: why?`)
  assert.ok(median <= 120, `the median is ${median}`)
  assert.deepEqual(
    product.filter(({ path, lines }) => lines > 400 && !(path in reasons)).map(({ path }) => path),
    [],
  )
})
