import assert from 'node:assert/strict'
import { existsSync, readFileSync, renameSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { sha256OfBody } from '../../src/cli/demo/origin.js'
import type { FrontendStatus } from '../../src/frontend/index.js'
import { batonArgs, Deployment, type Host } from '../../src/lab/index.js'
import { connectFrom, deliverTo, download, Received, startApp } from '../e2e/support.js'
import { baton } from './baton.js'

let net: Deployment
let frontend: Host
let backend: Host
const BIG = 20_000_000

before(async () => {
  net = new Deployment({ prefix: 'btrun', frontends: 1, backends: 1 })
  frontend = net.net.frontends[0]!
  backend = net.net.backends[0]!
  await startApp(net, backend, 'web-1')
  await net.startAgent(backend, 'web-1', ['web'], deliverTo(backend))
  await startFrontend()
})
after(() => net?.dispose())

const startFrontend = (drainTimeoutMs = 20_000) =>
  net.startFrontend(frontend, 'front-1', {
    routes: [
      { match: { path: { prefix: '/relayed/' } }, pool: 'relayed' },
      { match: { host: 'web.example' }, pool: 'web' },
    ],
    pools: {
      web: { backends: [{ id: 'web-1', agent: `${backend.ipv4}:7400`, address: `${backend.ipv4}:8080` }] },
      relayed: { handoff: 'never', backends: [{ id: 'plain-1', address: `${backend.ipv4}:8080` }] },
    },
    timeouts: { drainTimeoutMs },
  })

function ask(text: string) {
  const socket = connectFrom(net.net.client, net.net.vip4)
  const received = new Received(socket)
  socket.write(text)
  return { socket, received }
}
const request = (path: string, host = 'web.example', more = '') =>
  `GET ${path} HTTP/1.1\r\nHost: ${host}\r\n${more}\r\n`

async function until(what: string, holds: () => Promise<boolean> | boolean): Promise<void> {
  for (let round = 0; round < 100; round++) {
    if (await holds()) return
    await sleep(50)
  }
  assert.fail(`within 5 s: ${what}`)
}
const accessLines = (name = 'front-1.access.log') =>
  readFileSync(net.file(name), 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as { path: string; cause: string; how: string; status: number })

describe('baton status', () => {
  before(async () => {
    for (const path of ['/a', '/relayed/b']) {
      const { received } = ask(request(path, 'web.example', 'Connection: close\r\n'))
      await received.closed
    }
    const { received } = ask(request('/nowhere', 'other.example'))
    await received.closed
  })

  test('--once: a frontend’s backends, handoffs, relays with reasons, rejections and flows', async () => {
    const { code, stdout, stderr } = await baton(['status', '--once'], frontend)
    assert.equal(code, 0)
    assert.equal(stderr, '')
    assert.match(stdout, /^ {2}frontend front-1, version \S+, up \d+ s$/m)
    assert.match(stdout, /^ {2}listeners +web 10\.0\.0\.100:80 · web6 \[fd00::100\]:80$/m)
    assert.match(stdout, /^ {2}handed over +1 · refused: 0 · lost: 0 · in flight: 0 · returned: 0$/m)
    assert.match(stdout, /^ {2}relayed +pool_policy: 1 · open now: 0$/m)
    assert.match(stdout, /^ {2}rejected +404: 1$/m)
    assert.match(stdout, /^ {2}flows +linger: 1$/m)
    assert.match(stdout, /^ {2}taken over +none$/m)
    assert.match(stdout, /^ {2}web-1 +web +up +10\.0\.0\.11:7400 +10\.0\.0\.11:8080 +1 +0 +0 +0 +\d+\.\d\d$/m)
    assert.match(stdout, /^ {2}plain-1 +relayed +relay +– +10\.0\.0\.11:8080 +1 +0 +0 +0 +–$/m)
  })

  test('columns stand under their titles', async () => {
    const { stdout } = await baton(['status', '--once'], frontend)
    const rows = stdout.split('\n')
    const title = rows.findIndex((row) => row.startsWith('  backend'))
    const [head = '', ...body] = rows.slice(title, title + 3)
    for (const name of ['pools', 'state', 'agent', 'address']) {
      const column = head.indexOf(name)
      for (const row of body) assert.match(row.slice(column - 2, column + 1), /^ {2}\S$/, `${name}: ${row}`)
    }
    for (const name of ['weight', 'active', 'in flight', 'relayed', 'rtt ms']) {
      const end = head.indexOf(name) + name.length
      for (const row of body) assert.match(row.slice(end - 1, end + 1), /^\S ?$/, `${name}: ${row}`)
    }
  })

  test('--json is /v1/status as it is', async () => {
    const { code, stdout } = await baton(['status', '--json'], frontend)
    assert.equal(code, 0)
    const status = JSON.parse(stdout) as FrontendStatus
    assert.equal(status.role, 'frontend')
    assert.deepEqual(
      status.backends.map(({ id, state }) => [id, state]),
      [
        ['plain-1', 'relay'],
        ['web-1', 'up'],
      ],
    )
    assert.deepEqual(status.relays, { pool_policy: 1 })
    assert.deepEqual(status.rejected, { 404: 1 })
  })

  test('of an agent: what it took and which frontends it knows', async () => {
    const { code, stdout } = await baton(['status', '--admin', '127.0.0.1:9901', '--once'], backend)
    assert.equal(code, 0)
    assert.match(stdout, /^ {2}agent web-1, version \S+, running, up \d+ s$/m)
    assert.match(stdout, /^ {2}deliver +http, to 10\.0\.0\.11:8080$/m)
    assert.match(stdout, /^ {2}adopted +1 · open now: 0 · takes at once: 1024$/m)
    assert.match(stdout, /^ {2}front-1 +up +version 1 +\d+\.\d\d$/m)
  })

  test('on a terminal: drawn over itself each second, no wider than the terminal', async () => {
    const command = `stty cols 60 rows 30; exec ${process.execPath} ${batonArgs.join(' ')} status`
    const live = frontend.spawn('script', ['-qfec', command, '/dev/null'])
    // biome-ignore lint/suspicious/noControlCharactersInRegex: a terminal's own language
    await live.waitFor({ output: /\u001b\[H.*\u001b\[J.*\(0\/s\).*\u001b\[J/s })
    await live.stop()
    // biome-ignore lint/suspicious/noControlCharactersInRegex: as above
    const rows = live.output.replaceAll(/\u001b\[[HJK]/g, '').split(/\r?\n/)
    assert.ok(rows.some((row) => row.includes('Ctrl-C ends')))
    for (const row of rows) assert.ok(row.length <= 60, row)
  })
})

test('baton detach leaves the flow table of a running frontend alone', async () => {
  const { code, stderr } = await baton(['detach', '-c', net.file('front-1.yaml')], frontend)
  assert.equal(code, 1)
  assert.match(stderr, /Another process holds this flow table/)
  assert.ok(existsSync(net.pinPath('front-1')))
})

for (const signal of ['SIGUSR1', 'SIGHUP'] as const) {
  test(`${signal} opens the access log again and ends nobody`, async () => {
    const front = net.process('front-1')
    renameSync(net.file('front-1.access.log'), net.file(`${signal}.log`))
    front.kill(signal)
    net.process('web-1').kill(signal)
    await front.waitFor({ output: new RegExp(`"signal":"${signal}","msg":"logs opened again`) })
    await net.process('web-1').waitFor({ output: new RegExp(`"signal":"${signal}","msg":"no log file`) })
    const { received } = ask(request(`/relayed/${signal}`, 'web.example', 'Connection: close\r\n'))
    await received.closed
    await until('the new file has the line', () => existsSync(net.file('front-1.access.log')))
    await until('the line is there', () => accessLines().some(({ path }) => path === `/relayed/${signal}`))
    assert.ok(accessLines(`${signal}.log`).every(({ path }) => path !== `/relayed/${signal}`))
  })
}

describe('SIGTERM', () => {
  test('lets a relayed download finish, cuts no idle client, and exits with 0', async () => {
    const idle = ask(request('/relayed/idle'))
    await idle.received.until(/"url":"\/relayed\/idle"/)
    const fromHandoff = download(net, `/bytes/${BIG}`, ['--limit-rate', '10M', '-H', 'Host:web.example'])
    const running = download(net, `/relayed/bytes/${BIG}`, ['--limit-rate', '10M'])
    await sleep(300)
    const front = net.process('front-1')
    front.kill('SIGTERM')
    await idle.received.closed
    assert.equal(idle.received.over, 'end')
    assert.equal(front.running, true)
    const refused = ask(request('/relayed/late'))
    await refused.received.closed
    assert.equal(refused.received.bytes.length, 0)
    assert.equal(await running, sha256OfBody(BIG))
    assert.deepEqual(await front.exited, { code: 0, signal: null })
    assert.equal(await fromHandoff, sha256OfBody(BIG))
    assert.equal(accessLines().at(-1)?.path, `/relayed/bytes/${BIG}`)
    await startFrontend()
  })

  const cut = async (signals: number, code: number) => {
    const path = `/relayed/bytes/${BIG * 10}`
    const url = `http://${net.net.vip4}${path}`
    const curl = net.net.client.exec('curl', ['-sS', '-o', '/dev/null', '--limit-rate', '5M', url])
    await sleep(500)
    const front = net.process('front-1')
    for (let signal = 0; signal < signals; signal++) {
      front.kill('SIGTERM')
      await sleep(200)
    }
    // By RST: a FIN could pass for the end of an answer without a length.
    assert.match((await curl).stderr, /^curl: \(56\) .*reset by peer/)
    assert.deepEqual(await front.exited, { code, signal: null })
    assert.equal(accessLines().at(-1)?.path, path)
  }

  test('a second one cuts at once, exit 1', async () => {
    await cut(2, 1)
    await startFrontend(500)
  })

  test('after drainTimeoutMs what is left is cut, exit 0', () => cut(1, 0))
})

test('baton detach after the stop takes the steering out of the kernel', async () => {
  const { code, stdout } = await baton(['detach', '-c', net.file('front-1.yaml')], frontend)
  assert.equal(code, 0)
  assert.match(stdout, /^baton: detached from eth0; the table held \d+ flows?\n$/)
  assert.equal(existsSync(net.pinPath('front-1')), false)
  await startFrontend()
  const { received } = ask(request('/again', 'web.example', 'Connection: close\r\n'))
  await received.closed
  assert.match(received.text, /"url":"\/again"/)
})
