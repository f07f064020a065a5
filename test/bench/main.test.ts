import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { test } from 'node:test'
import { packageRoot } from '../../src/kernel/native.js'

test('the command names its benchmarks and refuses others', () => {
  const run = (...args: string[]) =>
    spawnSync(process.execPath, [join(packageRoot, 'dist/bench/main.js'), ...args], { encoding: 'utf8' })
  const help = run('--help')
  assert.equal(help.status, 0, help.stderr)
  const names = [
    'handoff',
    'adopt',
    'throughput',
    'cpu',
    'handoffs',
    'latency',
    'keepalive',
    'idle',
    'scale',
    'death',
    'floor',
  ]
  for (const name of names) assert.match(help.stdout, new RegExp(`^ {2}${name} `, 'm'))
  const unknown = run('nothing')
  assert.equal(unknown.status, 2)
  assert.match(unknown.stderr, /no benchmark nothing/)
  assert.equal(run('handoff', '--loud').status, 2)
})
