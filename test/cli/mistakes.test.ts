import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { createServer } from 'node:http'
import { after, before, describe, test } from 'node:test'
import { batonArgs, Deployment, type Host, type Settings } from '../../src/lab/index.js'
import { baton, lines } from './baton.js'

let net: Deployment
let frontend: Host
let backend: Host
const occupant = createServer((_request, response) => response.end('another program'))

before(async () => {
  net = new Deployment({ prefix: 'btmist', frontends: 1, backends: 1 })
  frontend = net.net.frontends[0]!
  backend = net.net.backends[0]!
  await frontend.listen(occupant, 8888)
})
after(async () => {
  occupant.close().closeAllConnections()
  await net?.dispose()
})

const frontendFile = (name: string, changes: Settings) =>
  net.writeSettings(`${name}.yaml`, {
    id: name,
    listeners: [{ name: 'web', address: `${net.net.vip4}:80` }],
    routes: [{ match: {}, pool: 'web' }],
    pools: { web: { backends: [{ id: 'web-1', agent: `${backend.ipv4}:7400` }] } },
    steering: { interface: 'eth0', pinPath: net.pinPath(name) },
    control: { tokenFile: net.file('token') },
    admin: { address: '127.0.0.1:9900' },
    log: { level: 'fatal', accessLog: 'off' },
    ...changes,
  })
const agentFile = (name: string, changes: Settings) =>
  net.writeSettings(`${name}.yaml`, {
    ...net.agentSettings(backend, name, ['web']),
    deliver: { kind: 'http', address: '127.0.0.1:8080' },
    log: { level: 'fatal' },
    ...changes,
  })

/** Exit 1 by itself, with what happened on one line, what to do about it on the next, and no stack trace. */
function isOneSentence(result: { code: number | null; stderr: string }, says: RegExp): void {
  assert.equal(result.code, 1, result.stderr)
  const [what = '', todo = '', ...more] = lines(result.stderr)
  assert.match(what, says)
  assert.match(what, /^baton: BATON_[A-Z_]+: /)
  assert.match(todo, /^ {2}→ /)
  assert.deepEqual(more, [])
}

const mistakes: readonly (readonly [name: string, changes: () => Settings, says: RegExp])[] = [
  [
    'an occupied port',
    () => ({ listeners: [{ name: 'web', address: `${net.net.vip4}:8888` }] }),
    /Another program listens on this address\. web, 10\.0\.0\.100:8888/,
  ],
  [
    'an occupied port of the second listener',
    () => ({
      listeners: [
        { name: 'first', address: `${net.net.vip4}:80` },
        { name: 'second', address: `${net.net.vip4}:8888` },
      ],
    }),
    /second, 10\.0\.0\.100:8888/,
  ],
  [
    'a VIP that is not local',
    () => ({ listeners: [{ name: 'web', address: '10.0.0.77:80' }] }),
    /not one of this host\. web, 10\.0\.0\.77:80/,
  ],
  [
    'an absent interface',
    () => ({ steering: { interface: 'eth9', pinPath: net.pinPath('nowhere') } }),
    /interface to steer at does not exist\. eth9/,
  ],
  [
    'an occupied admin port',
    () => ({ admin: { address: '127.0.0.1:8888' } }),
    /admin\.address: .*in use.* 127\.0\.0\.1:8888/,
  ],
  [
    'a folder for the access log that is not there',
    () => ({ log: { level: 'fatal', accessLog: '/nowhere/at/all.log' } }),
    /access log cannot be opened.*\/nowhere\/at\/all\.log/,
  ],
  [
    'a pin path that is on no bpffs',
    () => ({ steering: { interface: 'eth0', pinPath: net.file('pins') } }),
    /BPF file system.*pins is not on bpffs/,
  ],
]

describe('baton frontend tells an operator in one sentence:', () => {
  for (const [index, [name, changes, says]] of mistakes.entries()) {
    test(name, async () => {
      isOneSentence(
        await baton(['frontend', '-c', frontendFile(`front-${index}`, changes())], frontend),
        says,
      )
      assert.equal(existsSync(net.pinPath(`front-${index}`)), false, 'nothing stays in the kernel')
    })
  }

  test('no capabilities', async () => {
    const file = frontendFile('front-bare', {})
    const bare = ['--bounding-set=-all', process.execPath, ...batonArgs, 'frontend', '-c', file]
    isOneSentence(await frontend.exec('setpriv', bare), /may not set up the flow table/)
    assert.equal(existsSync(net.pinPath('front-bare')), false)
  })
})

describe('baton agent tells an operator in one sentence:', () => {
  test('a control address that is not local', async () => {
    const file = agentFile('agent-1', {
      control: { address: '10.0.0.77:7400', tokenFile: net.file('token') },
    })
    isOneSentence(await baton(['agent', '-c', file], backend), /control\.address: .*10\.0\.0\.77:7400/)
    // What it had put in place before it failed is gone again.
    assert.doesNotMatch(await backend.run('ip', ['-o', 'addr', 'show', 'dev', 'lo']), /10\.0\.0\.100/)
  })

  test('an absent interface', async () => {
    const file = agentFile('agent-2', { interface: 'eth9' })
    isOneSentence(await baton(['agent', '-c', file], backend), /interface: eth9 does not exist/)
  })

  test('no capabilities', async () => {
    const file = agentFile('agent-3', { hostSetup: 'off' })
    const bare = ['--bounding-set=-all', process.execPath, ...batonArgs, 'agent', '-c', file]
    isOneSentence(await backend.exec('setpriv', bare), /CAP_NET_ADMIN is missing/)
  })
})

describe('baton status at another program', () => {
  test('says that this is not Baton', async () => {
    const { code, stderr } = await baton(['status', '--admin', '127.0.0.1:8888'], frontend)
    assert.equal(code, 1)
    assert.deepEqual(lines(stderr).length, 1)
    assert.match(stderr, /is not Baton's admin address/)
  })
})

test('baton detach where nothing is attached says so', async () => {
  const { code, stdout } = await baton(['detach', '-c', frontendFile('front-none', {})], frontend)
  assert.equal(code, 0)
  assert.match(stdout, /nothing to detach: there is no \/sys\/fs\/bpf\//)
  assert.equal(existsSync(net.pinPath('front-none')), false)
})
