import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Finding } from '../../src/cli/doctor/finding.js'
import { type AgentFacts, type FrontendFacts, runDoctor } from '../../src/cli/doctor/index.js'
import { atLeast, minimumKernel } from '../../src/cli/doctor/kernel.js'
import { renderTable } from '../../src/cli/doctor/render.js'
import { parseAgentConfig, parseFrontendConfig } from '../../src/config/index.js'
import { packageRoot } from '../../src/kernel/native.js'

const findings: Finding[] = [
  { area: 'kernel', name: 'version', verdict: 'ok', found: '6.1.0', fix: null },
  { area: 'network', name: 'rp_filter', verdict: 'warn', found: 'strict', fix: 'sysctl x=2' },
  { area: 'network', name: 'VIP', verdict: 'fail', found: 'not on lo', fix: 'ip addr add' },
]

test('each finding is a line, its fix the next, under the heading of its area', () => {
  assert.equal(
    renderTable(findings, false),
    [
      'kernel',
      '  ✔ version    6.1.0',
      '',
      'network',
      '  ! rp_filter  strict',
      '               → sysctl x=2',
      '  ✖ VIP        not on lo',
      '               → ip addr add',
      '',
      '1 ok, 1 to look at, 1 to mend',
      '',
    ].join('\n'),
  )
})

test('only a terminal gets colour', () => {
  assert.ok(!renderTable(findings, false).includes('\u001b'))
  assert.ok(renderTable(findings, true).includes('\u001b[31m✖\u001b[0m'))
})

test('kernel versions are compared by number, not by text', () => {
  assert.ok(atLeast('6.18.44-fc-v769', '5.10'))
  assert.ok(atLeast('5.10.0-30-amd64', '5.10'))
  assert.ok(atLeast('10.0.0', '6.6'))
  assert.ok(!atLeast('5.9.16', '5.10'))
  assert.ok(!atLeast('4.19.0-21-amd64', '5.10'))
})

test('the set-up script asks for the same kernel as the doctor', () => {
  const script = readFileSync(join(packageRoot, 'deploy/setup.sh'), 'utf8')
  assert.equal(/^minimum_kernel=(\S+)$/m.exec(script)?.[1], minimumKernel)
})

test('on a host that runs these tests, the kernel has all that Baton needs', async () => {
  let text = ''
  const output = {
    write: (chunk: string) => {
      text += chunk
    },
  }
  assert.equal(await runDoctor({ json: true, output }), 0)
  const { ok, findings: found } = JSON.parse(text) as { ok: boolean; findings: Finding[] }
  assert.equal(ok, true)
  const verdicts = new Map(found.map(({ name, verdict }) => [name, verdict]))
  for (const name of ['version', 'CAP_NET_ADMIN', 'CAP_BPF', 'TCP_REPAIR', 'eBPF', 'bpffs', 'TAP']) {
    assert.equal(verdicts.get(name), 'ok', name)
  }
})

test('checked configurations are what the doctor takes', () => {
  const frontend = parseFrontendConfig(
    [
      'listeners: [{ name: web, address: "192.0.2.1:80" }]',
      'routes: [{ match: {}, pool: web }]',
      'pools: { web: { handoff: never, backends: [{ id: one, address: "192.0.2.2:80" }] } }',
    ].join('\n'),
  )
  const agent = parseAgentConfig(
    [
      'id: one',
      'pools: [web]',
      'control: { address: "192.0.2.2:7400", tokenFile: /etc/baton/token }',
      'vips: [192.0.2.1]',
      'deliver: { kind: http, address: "127.0.0.1:8080" }',
    ].join('\n'),
    { checkFiles: false },
  )
  const facts: [FrontendFacts, AgentFacts] = [frontend, agent]
  assert.equal(facts[0].listeners[0]?.address.port, 80)
  assert.equal(facts[1].hostSetup, 'apply')
})
