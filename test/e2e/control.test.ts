import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { chmodSync, readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { after, before, describe, test } from 'node:test'
import { Deployment, type Host } from '../../src/lab/index.js'
import { connectFrom, deliverTo, Received, startApp, statusOf } from './support.js'

let baton: Deployment
let one: Host
let two: Host
const foreign = createServer((_request, response) => response.end('this is no agent'))
/** Speaks of Baton, but of another protocol version. */
const other = createServer()

before(async () => {
  baton = new Deployment({ prefix: 'btctl', frontends: 1, backends: 2 })
  ;[one, two] = baton.net.backends as [Host, Host]
  makeCertificates()
  await Promise.all([startApp(baton, one, 'web-1'), startApp(baton, two, 'web-2')])
  // Agents that are none, on the second backend.
  await two.listen(foreign, 7401)
  await two.listen(other, 7402)
  other.on('upgrade', (_request, socket) => {
    const body = '{"message":"Only baton/9 is spoken here."}'
    socket.end(
      `HTTP/1.1 426 Upgrade Required\r\nUpgrade: baton/9\r\nConnection: upgrade, close\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    )
  })
})
after(async () => {
  for (const server of [foreign, other]) server.close().closeAllConnections()
  await baton?.dispose()
})

/** One CA, a certificate for the frontend and each agent (its control address as subjectAltName), and a stranger's CA. */
function makeCertificates(): void {
  const openssl = (...args: string[]) =>
    execFileSync('openssl', args, { cwd: baton.directory, stdio: 'pipe' })
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2']
  for (const ca of ['ca', 'stranger-ca']) {
    openssl('req', '-x509', ...key, '-keyout', `${ca}.key`, '-out', `${ca}.pem`, '-subj', `/CN=${ca}`)
  }
  for (const [name, ca, address] of [
    ['front', 'ca', '10.0.0.1'],
    ['web-1', 'ca', one.ipv4],
    ['misnamed', 'ca', '10.0.0.99'],
    ['stranger', 'stranger-ca', '10.0.0.1'],
  ] as const) {
    openssl('req', ...key, '-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', `/CN=${name}`)
    baton.write(`${name}.ext`, `subjectAltName=IP:${address}\n`)
    const from = ['-in', `${name}.csr`, '-CA', `${ca}.pem`, '-CAkey', `${ca}.key`, '-CAcreateserial']
    openssl('x509', '-req', ...from, '-out', `${name}.pem`, '-days', '2', '-extfile', `${name}.ext`)
    chmodSync(baton.file(`${name}.key`), 0o600)
  }
}

const tls = (name: string) => ({
  certFile: baton.file(`${name}.pem`),
  keyFile: baton.file(`${name}.key`),
  caFile: baton.file('ca.pem'),
})
const startAgent = (host: Host, id: string, control: object) =>
  baton.startAgent(host, id, [id], {
    ...deliverTo(host),
    control: { address: `${host.ipv4}:7400`, ...control },
  })
/** Each backend alone in the pool of its name, which is also the first segment of its paths. */
const startFrontend = (control: object, agents: Readonly<Record<string, string>>) =>
  baton.startFrontend(baton.net.frontends[0]!, 'front-1', {
    routes: Object.keys(agents).map((id) => ({ match: { path: { prefix: `/${id}/` } }, pool: id })),
    pools: Object.fromEntries(
      Object.entries(agents).map(([id, agent]) => [
        id,
        { backends: [{ id, agent, address: `${agent.replace(/:.*/, '')}:8080` }] },
      ]),
    ),
    control,
  })

/** One request; how the frontend dealt with it. */
async function how(id: string): Promise<{ adopted: number; agentDown: number }> {
  const before = await statusOf(baton)
  const socket = connectFrom(baton.net.client, baton.net.vip4)
  const received = new Received(socket)
  socket.write(`GET /${id}/x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`)
  await received.closed
  assert.match(received.text, /^HTTP\/1\.1 200 .*"backend":"/s)
  const now = await statusOf(baton)
  return {
    adopted: now.handoffs.adopted - before.handoffs.adopted,
    agentDown: (now.relays.agent_down ?? 0) - (before.relays.agent_down ?? 0),
  }
}
const relayed = { adopted: 0, agentDown: 1 }

describe('the control channel by mutual TLS', () => {
  before(async () => {
    await Promise.all([
      startAgent(one, 'web-1', { tls: tls('web-1') }),
      startAgent(two, 'web-2', { tls: tls('misnamed') }),
    ])
  })
  after(() => Promise.all(['front-1', 'web-1', 'web-2'].map((name) => baton.process(name).stop())))
  const agents = () => ({ 'web-1': `${one.ipv4}:7400`, 'web-2': `${two.ipv4}:7400` })

  test('carries handoffs, and nothing of it can be read on the wire', async () => {
    const capture = baton.file('control.pcap')
    const tcpdump = one.spawn('tcpdump', ['-i', 'eth0', '-U', '-w', capture, 'tcp', 'port', '7400'])
    await tcpdump.waitFor({ output: /listening on eth0/ })
    await startFrontend({ tls: tls('front') }, agents())
    assert.deepEqual(await how('web-1'), { adopted: 1, agentDown: 0 })
    await tcpdump.stop()
    const wire = readFileSync(capture)
    assert.ok(wire.length > 2000, 'the channel was captured')
    for (const word of ['baton/1', 'front-1', 'Host: x']) assert.equal(wire.includes(word), false, word)
  })

  test('an agent whose certificate names another address is not spoken to', async () => {
    const { output } = baton.process('front-1')
    assert.match(
      output,
      /"backend":"web-2","code":"BATON_CHANNEL_\w+","reason":"[^"]*10\.0\.0\.12[^"]*not in the cert/,
    )
    assert.deepEqual(await how('web-2'), relayed)
  })

  test('a frontend of another CA is told so, and relays', async () => {
    await baton.process('front-1').stop()
    const front = await startFrontend({ tls: tls('stranger') }, agents())
    await front.waitFor({ output: /"code":"BATON_CHANNEL_UNAUTHORIZED".*agent cannot be reached/ })
    assert.match(front.output, /A client certificate of the configured CA is required/)
    assert.deepEqual(await how('web-1'), relayed)
    await baton.process('web-1').waitFor({ output: /a control connection was turned away/ })
  })
})

describe('the control channel by a token', () => {
  const wrong = `wrong-${'y'.repeat(40)}`
  const agents = () => ({
    'web-1': `${one.ipv4}:7400`,
    foreign: `${two.ipv4}:7401`,
    other: `${two.ipv4}:7402`,
  })

  test('a wrong one is refused, said clearly on both sides, and requests are relayed as agent_down', async () => {
    const agent = await startAgent(one, 'web-1', { tokenFile: baton.file('token') })
    const front = await startFrontend({ tokenFile: baton.write('wrong', `${wrong}\n`) }, agents())
    assert.match(
      front.output,
      /"backend":"web-1","code":"BATON_CHANNEL_UNAUTHORIZED","reason":"[^"]*The bearer token is not accepted\.","msg":"agent cannot be reached"/,
    )
    assert.deepEqual(await how('web-1'), relayed)
    await agent.waitFor({ output: /a control connection was turned away/ })
  })

  test('something that is no agent, or speaks another protocol, is named for what it is', async () => {
    const { output } = baton.process('front-1')
    assert.match(
      output,
      /"backend":"foreign","code":"BATON_CHANNEL_REFUSED","reason":"[^"]*10\.0\.0\.12:7401/,
    )
    assert.match(
      output,
      /"backend":"other","code":"BATON_CHANNEL_VERSION","reason":"[^"]*baton\/9 is spoken here/,
    )
    for (const id of ['foreign', 'other']) assert.deepEqual(await how(id), relayed)
  })

  test('each is dialled again and again, and said once', () => {
    const { output } = baton.process('front-1')
    for (const id of Object.keys(agents())) {
      const said = output.split('\n').filter((line) => line.includes(`"backend":"${id}"`))
      assert.equal(said.length, 1, said.join('\n'))
    }
  })

  test('no secret is in any log, status or metric', async () => {
    const right = readFileSync(baton.file('token'), 'utf8').trim()
    const [frontend] = baton.net.frontends
    const texts = [baton.process('front-1').output, baton.process('web-1').output]
    for (const [host, port] of [
      [frontend!, 9900],
      [one, 9901],
    ] as const) {
      for (const path of ['v1/status', 'metrics', 'readyz']) {
        texts.push(await host.run('curl', ['-s', `http://127.0.0.1:${port}/${path}`]))
      }
    }
    for (const text of texts) {
      assert.ok(text.length > 0)
      for (const secret of [right, wrong]) assert.equal(text.includes(secret), false)
      assert.doesNotMatch(text, /Bearer |PRIVATE KEY/)
    }
  })
})
