import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import fastify from 'fastify'
import type { Finding } from '../../src/cli/doctor/finding.js'
import { attachChannelServer } from '../../src/handoff/index.js'
import { type Host, type StandardTopology, standardTopology } from '../../src/lab/index.js'

const token = 'a-token-of-sufficient-length-0123456789'
const examine = fileURLToPath(new URL('fixtures/examine.js', import.meta.url))

let net: StandardTopology
let folder: string
let tokenFile: string
const control = fastify()
const application = createServer((_, response) => response.end('application'))

before(async () => {
  net = standardTopology({ prefix: 'btdoctor', backends: 2, redis: true, prepareBackends: false })
  folder = mkdtempSync(join(tmpdir(), 'baton-doctor-'))
  tokenFile = join(folder, 'token')
  writeFileSync(tokenFile, `${token}\n`, { mode: 0o600 })
  attachChannelServer(control, {
    auth: { kind: 'token', token },
    hello: () => assert.fail('the doctor must not open a channel'),
    onChannel: () => assert.fail('the doctor must not open a channel'),
  })
  await control.ready()
  await net.backends[0]!.listen(control.server, 7400)
  await net.backends[0]!.listen(application, 8080)
})
after(async () => {
  await control.close()
  application.close().closeAllConnections()
  await net.dispose()
  rmSync(folder, { recursive: true })
})

interface Report {
  readonly code: number | null
  readonly of: (name: string) => Finding
  readonly names: string[]
}

async function doctor(host: Host, facts: object): Promise<Report> {
  const done = await host.exec(process.execPath, [examine, JSON.stringify(facts)])
  assert.equal(done.stderr, '')
  const { findings } = JSON.parse(done.stdout) as { findings: Finding[] }
  const of = (name: string): Finding => {
    const finding = findings.find((one) => one.name === name)
    assert.ok(
      finding !== undefined,
      `nothing about ${name} among ${findings.map((one) => one.name).join(', ')}`,
    )
    return finding
  }
  return { code: done.code, of, names: findings.map((one) => one.name) }
}

const agentFacts = (host: Host, changes: object = {}) => ({
  agent: {
    control: { address: { address: host.ipv4, port: 7400 }, tokenFile },
    vips: [net.vip4, net.vip6],
    hostSetup: 'check',
    deliver: { kind: 'http', address: { address: '127.0.0.1', port: 8080 } },
    registry: { kind: 'memory' },
    ...changes,
  },
})

const frontendFacts = (changes: object = {}) => ({
  frontend: {
    listeners: [
      { name: 'web', address: { address: net.vip4, port: 80 } },
      { name: 'web6', address: { address: net.vip6, port: 80 } },
      { name: 'secure', address: { address: net.vip4, port: 443 } },
    ],
    pools: {
      web: {
        handoff: 'auto',
        backends: [{ id: 'one', agent: { address: net.backends[0]!.ipv4, port: 7400 } }],
      },
    },
    steering: { interface: 'eth0' },
    control: { tokenFile },
    registry: { kind: 'memory' },
    ...changes,
  },
})

test('a bare backend host is told what is missing, and each fix mends it', async () => {
  const host = net.backends[0]!
  host.setSysctls({ 'net.ipv4.conf.all.rp_filter': 1 })
  const bare = await doctor(host, agentFacts(host))
  assert.equal(bare.code, 1)
  const wrong = [`VIP ${net.vip4}`, `VIP ${net.vip6}`, 'arp_ignore', 'arp_announce']
  for (const name of wrong) assert.equal(bare.of(name).verdict, 'fail', name)
  assert.equal(bare.of('rp_filter').verdict, 'warn')
  assert.equal(bare.of('interface').found, 'eth0 is up, MTU 1500')
  assert.equal(bare.of('application').verdict, 'ok')
  for (const name of [...wrong, 'rp_filter']) await host.run('sh', ['-c', bare.of(name).fix ?? ''])
  const mended = await doctor(host, agentFacts(host))
  for (const name of [...wrong, 'rp_filter']) assert.equal(mended.of(name).verdict, 'ok', name)
  assert.equal(mended.code, 0)
})

test('what the agent will do by itself at its start is no failure', async () => {
  const host = net.backends[1]!
  const report = await doctor(host, agentFacts(host, { hostSetup: 'apply' }))
  for (const name of [`VIP ${net.vip4}`, 'arp_ignore']) {
    assert.equal(report.of(name).verdict, 'warn', name)
    assert.match(report.of(name).fix ?? '', /^The agent does this at its start: /)
  }
  assert.equal(report.of('application').verdict, 'warn') // nothing listens on this one
  assert.equal(report.code, 0)
})

test('whether the kernel can adopt into a listening socket is said, and what serves where it cannot', async () => {
  const host = net.backends[1]!
  const address = { address: '127.0.0.1', port: 8080 }
  const plain = agentFacts(host, { deliver: { kind: 'adopt', address } })
  const withFallback = agentFacts(host, {
    deliver: { kind: 'adopt', address, fallback: { kind: 'http', address } },
  })
  assert.equal((await doctor(host, plain)).of('adopt').verdict, 'ok')
  host.setSysctls({ 'net.ipv4.tcp_syncookies': 0 })
  const refused = (await doctor(host, plain)).of('adopt')
  assert.deepEqual([refused.verdict, refused.found], ['fail', 'net.ipv4.tcp_syncookies is 0'])
  const other = (await doctor(host, withFallback)).of('adopt')
  assert.equal(other.verdict, 'warn')
  assert.match(other.fix ?? '', /fallback \(http\) serves/)
  host.setSysctls({ 'net.ipv4.tcp_syncookies': 1 })
})

test('a backend that holds the VIP on its segment would take it from the frontend', async () => {
  const host = net.backends[1]!
  host.ip([`addr add ${net.vip4}/32 dev eth0`])
  const report = await doctor(host, agentFacts(host, { hostSetup: 'apply' }))
  host.ip([`addr del ${net.vip4}/32 dev eth0`])
  assert.equal(report.of(`VIP ${net.vip4}`).verdict, 'fail')
  assert.match(report.of(`VIP ${net.vip4}`).found, /^on eth0/)
})

test('an address or interface that this host does not have is a failure', async () => {
  const host = net.backends[1]!
  const elsewhere = { address: { address: '10.0.0.77', port: 7400 }, tokenFile }
  assert.equal((await doctor(host, agentFacts(host, { control: elsewhere }))).of('interface').verdict, 'fail')
  assert.equal((await doctor(host, agentFacts(host, { interface: 'eth7' }))).of('interface').verdict, 'fail')
})

test('an active frontend with its agent on the same segment is in order', async () => {
  const report = await doctor(net.active, frontendFacts())
  const inOrder = [
    `VIP ${net.vip4}`,
    `VIP ${net.vip6}`,
    'IPv6',
    'interface',
    'token',
    'agent one',
    'MTU to one',
  ]
  for (const name of [...inOrder, `segment of ${net.backends[0]!.ipv4}`]) {
    assert.equal(report.of(name).verdict, 'ok', name)
  }
  assert.equal(report.names.filter((name) => name === `VIP ${net.vip4}`).length, 1, 'two ports, one address')
  assert.equal(report.code, 0)
})

test('a standby frontend is warned or failed by whether it may listen on an address that is not there', async () => {
  const standby = net.frontends[1]!
  assert.equal((await doctor(standby, frontendFacts())).of(`VIP ${net.vip4}`).verdict, 'fail')
  standby.setSysctls({ 'net.ipv4.ip_nonlocal_bind': 1 })
  assert.equal((await doctor(standby, frontendFacts())).of(`VIP ${net.vip4}`).verdict, 'warn')
})

test('a frontend without IPv6 cannot serve an IPv6 listener', async () => {
  const standby = net.frontends[1]!
  standby.setSysctls({ 'net.ipv6.conf.eth0.disable_ipv6': 1 })
  const report = await doctor(standby, frontendFacts())
  assert.equal(report.of('IPv6').verdict, 'fail')
  await standby.run('sh', ['-c', report.of('IPv6').fix ?? ''])
  assert.equal((await doctor(standby, frontendFacts())).of('IPv6').verdict, 'ok')
})

test('agents that cannot be reached, are strangers, or are behind a router are named', async () => {
  const backends = [
    { id: 'down', agent: { address: net.backends[1]!.ipv4, port: 7400 } },
    { id: 'other', agent: { address: net.backends[0]!.ipv4, port: 8080 } },
    { id: 'far', agent: { address: net.client.ipv4, port: 7400 } },
  ]
  const report = await doctor(net.active, frontendFacts({ pools: { web: { handoff: 'auto', backends } } }))
  assert.match(report.of('agent down').found, /ECONNREFUSED/)
  assert.match(report.of('agent other').found, /is no agent: it answered "HTTP\/1.1 200 OK"/)
  assert.match(report.of(`segment of ${net.client.ipv4}`).found, /behind the router 10\.0\.0\.254/)
  for (const { id } of backends) assert.equal(report.of(`agent ${id}`).verdict, 'fail', id)
  assert.equal(report.code, 1)
})

test('a smaller MTU at the agent is seen from the frontend', async () => {
  net.backends[0]!.ip(['link set eth0 mtu 1400'])
  const report = await doctor(net.active, frontendFacts())
  net.backends[0]!.ip(['link set eth0 mtu 1500'])
  assert.equal(report.of('MTU to one').verdict, 'warn')
  assert.match(report.of('MTU to one').found, /segments of 1348 bytes, while this host offers 1448/)
})

test('a token that others may read, is short, is missing or is another one is a failure', async () => {
  const write = (name: string, text: string, mode: number) => {
    const path = join(folder, name)
    writeFileSync(path, text, { mode })
    return frontendFacts({ control: { tokenFile: path } })
  }
  const open = await doctor(net.active, write('open', token, 0o644))
  assert.equal(open.of('token').verdict, 'fail')
  await net.active.run('sh', ['-c', open.of('token').fix ?? ''])
  assert.equal(
    (await doctor(net.active, frontendFacts({ control: { tokenFile: join(folder, 'open') } }))).code,
    0,
  )
  const short = await doctor(net.active, write('short', 'tiny', 0o600))
  assert.equal(short.of('token length').verdict, 'fail')
  const wrong = await doctor(net.active, write('wrong', 'another-token-of-sufficient-length-9876', 0o600))
  assert.match(wrong.of('agent one').found, /does not know this token/)
  const none = await doctor(net.active, frontendFacts({ control: { tokenFile: join(folder, 'none') } }))
  assert.match(none.of('token').found, /ENOENT/)
  assert.equal(none.code, 1)
})

test('Redis is reached or not', async () => {
  const redis = net.redis!
  const target = { nodes: [{ host: redis.ipv4, port: 6379 }], tls: false }
  const facts = frontendFacts({ registry: { kind: 'redis', target } })
  const away = await doctor(net.active, facts)
  assert.equal(away.of('Redis').verdict, 'fail')
  const server = redis.spawn('redis-server', [
    '--bind',
    redis.ipv4,
    '--save',
    '',
    '--dir',
    folder,
    '--protected-mode',
    'no',
  ])
  await server.waitFor({ port: 6379 })
  const there = await doctor(net.active, facts)
  assert.equal(there.of('Redis').verdict, 'ok')
  assert.equal(there.code, 0)
})
