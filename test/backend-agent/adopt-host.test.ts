import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { packageRoot } from '../../src/kernel/native.js'
import {
  adopting,
  agentFile,
  application,
  cli,
  echo,
  fileAddress,
  frontOf,
  handedOver,
  pinsOf,
  request,
} from './adopt-harness.js'
import { settle } from './session-harness.js'
import { Stage } from './stage.js'

const stage = new Stage('btadh')
const deliverTo = (port: number) => ({ kind: 'adopt', address: `127.0.0.1:${port}`, session: 'connection' })
const node = process.execPath

test('two agents on one host, each with its own connections; a second of one id does not start', async () => {
  const apps = [await application(echo), await application(echo)] as const
  const [one, two] = [
    await stage.agent(adopting('r-one', apps[0].port)),
    await stage.agent(adopting('r-two', apps[1].port)),
  ]
  await assert.rejects(stage.agent(adopting('r-one', apps[1].port)), { code: 'BATON_ADOPT_BUSY' })
  const [front1, front2] = [await frontOf(stage, one), await frontOf(stage, two)]
  const [client1, client2] = [await handedOver(stage, front1), await handedOver(stage, front2)]
  await client1.heard(request)
  await client2.heard(request)
  assert.deepEqual([one.stats.active, two.stats.active], [1, 1])
  assert.deepEqual([apps[0].sockets.length, apps[1].sockets.length], [1, 1])
  client1.socket.end()
  await settle(() => front1.closed.length === 1)
  assert.deepEqual([one.stats.active, two.stats.active], [0, 1])
  await one.close()
  client2.send('still here.')
  await client2.heard('still here.')
  client2.socket.end()
  await settle(() => front2.closed.length === 1)
  await two.close()
  assert.deepEqual([...pinsOf('r-one'), ...pinsOf('r-two')], [])
})

test('a stop with nothing adopted leaves no pin, no device and no program', async () => {
  const app = await application(echo)
  const agent = await stage.agent(adopting('r-clean', app.port))
  assert.equal(pinsOf('r-clean').length, 1)
  await agent.close()
  assert.deepEqual(pinsOf('r-clean'), [])
  const devices = await stage.back.run('ip', ['-br', 'link'])
  assert.doesNotMatch(devices, /baton-ad/)
})

/** `baton agent` with no capabilities but these. */
function spawnWith(capabilities: readonly string[], file: string) {
  const set = ['-all', ...capabilities.map((name) => `+${name}`)].join(',')
  const bounds = ['--bounding-set', set, '--inh-caps', '-all', '--no-new-privs']
  return stage.back.spawn('setpriv', [...bounds, node, cli, 'agent', '-c', file])
}

test('it takes the capabilities of the unit file and no more; without CAP_BPF the fallback serves, and the log says why', async () => {
  const app = await application(echo)
  const deliver = { ...deliverTo(app.port), fallback: { kind: 'tcp', address: `127.0.0.1:${app.port}` } }
  const file = agentFile(stage, 'r-caps', deliver)
  const unit = readFileSync(join(packageRoot, 'deploy/systemd/baton-agent.service'), 'utf8')
  const all =
    /^CapabilityBoundingSet=(.*)$/m.exec(unit)?.[1]?.toLowerCase().replaceAll('cap_', '').split(' ') ?? []
  const agent = spawnWith(all, file)
  await agent.waitFor({ output: /"deliver":"adopt","msg":"ready for connections"/ })
  assert.doesNotMatch(agent.output, /the fallback serves/)
  const front = await frontOf(stage, { address: fileAddress })
  const client = await handedOver(stage, front)
  await client.heard(request)
  // The application has the client's own connection.
  assert.equal(app.sockets[0]?.remotePort, client.socket.localPort)
  client.socket.end()
  await settle(() => front.closed.length === 1)
  agent.kill('SIGTERM')
  assert.deepEqual(await agent.exited, { code: 0, signal: null })
  front.link.destroy()

  const less = spawnWith(
    all.filter((name) => name !== 'bpf'),
    file,
  )
  await less.waitFor({ output: /the fallback serves/ })
  await less.waitFor({ port: fileAddress.port })
  assert.match(less.output, /"code":"BATON_ADOPT_UNAVAILABLE"/)
  const other = await frontOf(stage, { address: fileAddress })
  const through = await handedOver(stage, other)
  await through.heard(request)
  assert.equal(app.sockets[1]?.remoteAddress, '127.0.0.1')
  through.socket.end()
  await settle(() => other.closed.length === 1)
  less.kill('SIGTERM')
  assert.deepEqual(await less.exited, { code: 0, signal: null })
})

test('baton detach leaves a running agent alone, and takes out what a stopped one left; the connection lives on', async () => {
  const app = await application(echo)
  const file = agentFile(stage, 'r-detach', deliverTo(app.port))
  const detach = () => stage.back.exec(node, [cli, 'detach', '-c', file])
  assert.match((await detach()).stdout, /nothing to detach: no agent r-detach has left anything here/)
  const agent = stage.back.spawn(node, [cli, 'agent', '-c', file])
  await agent.waitFor({ port: fileAddress.port })
  const client = await handedOver(stage, await frontOf(stage, { address: fileAddress }))
  await client.heard(request)
  const busy = await detach()
  assert.equal(busy.code, 1)
  assert.match(busy.stderr, /BATON_ADOPT_BUSY/)
  agent.kill('SIGTERM')
  assert.deepEqual(await agent.exited, { code: 0, signal: null })
  assert.equal(pinsOf('r-detach').length, 1)
  assert.match((await detach()).stdout, /^baton: detached; 1 adopted connection lives on, and no frontend/)
  assert.deepEqual(pinsOf('r-detach'), [])
  client.send('still here.')
  await client.heard('still here.')
  client.socket.end()
  assert.equal(await client.end(), 'fin')
})
