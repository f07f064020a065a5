import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { packageRoot } from '../../src/kernel/native.js'
import { breach, circles, readTable } from './import-rule.js'
import { type Import, importsOf, sources } from './sources.js'

const rooms = readTable(readFileSync(join(packageRoot, 'ARCHITECTURE.md'), 'utf8'))
const imports = sources('src').flatMap(importsOf)

test('every folder of src stands in the table of ARCHITECTURE.md', () => {
  const folders = readdirSync(join(packageRoot, 'src'), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name)
  const named = rooms.map(({ name }) => name)
  assert.deepEqual(
    folders.filter((folder) => !named.includes(folder)),
    [],
  )
})

test('folders import each other only as the table allows, and by their doors', () => {
  assert.ok(imports.length > 100)
  const breaches = imports.map((one) => breach(rooms, one)).filter((text) => text !== undefined)
  assert.deepEqual(breaches, [])
})

test('no file imports itself by a detour', () => {
  assert.deepEqual(
    circles(imports).map((files) => files.join(' → ')),
    [],
  )
})

test('every import names a file that is there', () => {
  const missing = imports.filter(({ to }) => !existsSync(join(packageRoot, to)))
  assert.deepEqual(missing, [])
})

test('frontend and agent do not know each other', () => {
  const may = (own: string) => rooms.find(({ name }) => name === own)?.mayImport.map((entry) => entry.room)
  assert.ok(!may('frontend')?.includes('backend-agent'))
  assert.ok(!may('backend-agent')?.includes('frontend'))
})

test('the rule catches what it is for', () => {
  const table = readTable(
    [
      '| `src/errors` | codes | – |',
      '| `src/kernel` | Linux | errors |',
      '| `src/gate` | heads | kernel, errors |',
      '| `src/relay` | HTTP | gate (types), kernel/flow |',
      '| `src/cli` | commands | all |',
    ].join('\n'),
  )
  const check = (from: string, to: string, typeOnly = false) => breach(table, { from, to, typeOnly })
  assert.equal(check('src/gate/gate.ts', 'src/kernel/host.ts'), undefined)
  assert.equal(check('src/gate/gate.ts', 'src/gate/limits.ts'), undefined)
  assert.equal(check('src/cli/main.ts', 'src/relay/index.ts'), undefined)
  assert.equal(check('src/relay/a.ts', 'src/gate/index.ts', true), undefined)
  assert.equal(check('src/relay/a.ts', 'src/kernel/flow.ts'), undefined)
  assert.match(check('src/relay/a.ts', 'src/gate/index.ts') ?? '', /only types of gate/)
  assert.match(check('src/relay/a.ts', 'src/kernel/host.ts') ?? '', /only flow of kernel/)
  assert.match(check('src/kernel/host.ts', 'src/gate/index.ts') ?? '', /kernel may not import gate/)
  assert.match(check('src/cli/main.ts', 'src/gate/gate.ts') ?? '', /by \.\.\/gate\/index\.js/)
  assert.match(check('src/errors/a.ts', 'src/index.ts') ?? '', /public interface/)
  assert.throws(() => readTable('| `src/gate` | heads | everything else! |'), SyntaxError)
})

test('circles are found, by type and across three files', () => {
  const edge = (from: string, to: string): Import => ({ from, to, typeOnly: true })
  assert.deepEqual(circles([edge('a', 'b'), edge('b', 'c'), edge('c', 'a'), edge('c', 'd')]), [
    ['a', 'b', 'c', 'a'],
  ])
  assert.deepEqual(circles([edge('a', 'b'), edge('a', 'c'), edge('b', 'c')]), [])
})

test('imports are read in all their forms', () => {
  const text = [
    "import type { A } from '../kernel/flow.js'",
    "import { type B, c } from './b.js'",
    "import './side.js'",
    "export * from './all.js'",
    "export type { D } from './d.js'",
    'import {',
    '  e,',
    "} from './e.js'",
    "import fs from 'node:fs'",
    "const late = await import('./late.js')",
    "export const text = 'import'",
  ].join('\n')
  assert.deepEqual(
    importsOf({ path: 'src/gate/x.ts', text, lines: 11 }).map(({ to, typeOnly }) => [to, typeOnly]),
    [
      ['src/kernel/flow.ts', true],
      ['src/gate/b.ts', false],
      ['src/gate/side.ts', false],
      ['src/gate/all.ts', false],
      ['src/gate/d.ts', true],
      ['src/gate/e.ts', false],
      ['src/gate/late.ts', false],
    ],
  )
})
