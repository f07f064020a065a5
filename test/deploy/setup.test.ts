import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { packageRoot } from '../../src/kernel/native.js'

const script = join(packageRoot, 'deploy/setup.sh')

/** Runs the set-up by way of setpriv, on a machine where it must stop early, and gives what it said. */
function refusal(privileges: readonly string[], env: Readonly<Record<string, string>> = {}): string {
  const done = spawnSync('setpriv', [...privileges, 'bash', script], {
    encoding: 'utf8',
    env: { ...process.env, ...env },
  })
  assert.equal(done.status, 1, done.stderr)
  assert.equal(done.stdout, '')
  const lines = done.stderr.trimEnd().split('\n')
  assert.equal(lines.length, 1, done.stderr)
  return lines[0] ?? ''
}

test('another user than root is told so in one sentence', () => {
  const readable = ['--inh-caps=+dac_override', '--ambient-caps=+dac_override'] // wherever this checkout is
  const said = refusal(['--reuid=65534', '--clear-groups', ...readable])
  assert.match(said, /^setup: Baton needs root: /)
})

test('a root without the capabilities is told which', () => {
  assert.match(refusal(['--bounding-set=-net_admin']), /lacks CAP_NET_ADMIN/)
  assert.match(refusal(['--bounding-set=-bpf']), /lacks CAP_BPF/)
})

test('an old kernel is told which is needed', () => {
  const folder = mkdtempSync(join(tmpdir(), 'baton-setup-'))
  try {
    const uname = join(folder, 'uname')
    writeFileSync(uname, '#!/bin/sh\n[ "$1" = -s ] && echo Linux || echo 4.19.0-21-amd64\n')
    chmodSync(uname, 0o755)
    const said = refusal(['--nnp'], { PATH: `${folder}:${process.env.PATH ?? ''}` })
    assert.match(said, /needs Linux 5\.10 or newer .*this is 4\.19\.0-21-amd64/)
  } finally {
    rmSync(folder, { recursive: true })
  }
})
