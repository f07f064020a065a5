import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'
import { Deployment, type Host, standardAddresses } from '../../src/lab/index.js'
import { appPort, connectFrom, download, Received, type Status, statusOf, sum } from './support.js'

const CONNECTIONS = 200
const WORKERS = 3
const FILE_BYTES = 50 << 20
const folder = mkdtempSync(join(tmpdir(), 'btadopt'))
const accessLog = join(folder, 'access.log')
let baton: Deployment
let fileSha256 = ''

const servers = {
  nginx: ['nginx', '-c', join(folder, 'nginx.conf')],
  node: [process.execPath, join(folder, 'server.cjs')],
  python: ['python3', '-m', 'http.server', '--bind', '::', '--directory', folder, String(appPort)],
} as const
type Name = keyof typeof servers

const hostOf = (name: Name): Host => baton.net.backends[Object.keys(servers).indexOf(name)] as Host

function startAgent(name: Name) {
  return baton.startAgent(hostOf(name), name, [name], {
    deliver: { kind: 'adopt', address: `127.0.0.1:${appPort}`, session: 'connection' },
  })
}

function startFrontend() {
  const names = Object.keys(servers) as Name[]
  const pools = names.map((name) => [
    name,
    {
      backends: [
        { id: name, agent: `${hostOf(name).ipv4}:7400`, address: `${hostOf(name).ipv4}:${appPort}` },
      ],
    },
  ])
  return baton.startFrontend(baton.net.active, 'front-1', {
    routes: names.map((name) => ({ match: { host: `${name}.example` }, pool: name })),
    pools: Object.fromEntries(pools),
  })
}

/** Downloads the file of that server. @param options of curl */
function fetchFile(name: Name, ...options: string[]): Promise<string> {
  return download(baton, '/file.bin', [`-HHost:${name}.example`, ...options])
}

async function until(what: string, holds: (status: Status) => boolean): Promise<Status> {
  for (let round = 0; round < 100; round++) {
    const status = await statusOf(baton)
    if (holds(status)) return status
    await sleep(100)
  }
  throw new Error(`within 10 s: ${what}; ${JSON.stringify(await statusOf(baton))}`)
}

const noFlows = (status: Status) => status.flows.live === 0

/** A slow download from nginx that has been handed over: a flow is live already while it is parked. */
async function steeredDownload(): Promise<{ readonly sha256: Promise<string> }> {
  const { handoffs } = await statusOf(baton)
  const sha256 = fetchFile('nginx', '--limit-rate', '25M')
  await until('the download is steered', (status) => status.handoffs.adopted > handoffs.adopted)
  return { sha256 }
}

before(async () => {
  baton = new Deployment({ prefix: 'btado', frontends: 1, backends: 3 })
  const file = randomBytes(FILE_BYTES)
  fileSha256 = createHash('sha256').update(file).digest('hex')
  writeFileSync(join(folder, 'file.bin'), file)
  writeFileSync(join(folder, 'small.txt'), 'small')
  writeFileSync(
    join(folder, 'nginx.conf'),
    `user root; worker_processes ${WORKERS}; daemon off; pid ${join(folder, 'nginx.pid')}; error_log stderr;
     events { worker_connections 512; }
     http { access_log ${accessLog}; sendfile on; add_header X-Worker $pid;
       server { listen ${appPort} reuseport; listen [::]:${appPort} reuseport; root ${folder}; } }`,
  )
  writeFileSync(
    join(folder, 'server.cjs'),
    `const fs = require('node:fs'), path = require('node:path')
     require('node:http').createServer((request, response) => {
       if (request.method === 'POST') {
         const hash = require('node:crypto').createHash('sha256')
         return request.on('data', (chunk) => hash.update(chunk)).on('end', () => response.end(hash.digest('hex')))
       }
       fs.createReadStream(path.join(${JSON.stringify(folder)}, path.basename(request.url.split('?')[0]))).pipe(response)
     }).listen(${appPort}, '::')`,
  )
  for (const [name, [command, ...args]] of Object.entries(servers)) {
    await baton.start(`app-${name}`, hostOf(name as Name), command, args).waitFor({ port: appPort })
    await startAgent(name as Name)
  }
  await startFrontend()
  await until('all agents are up', ({ backends }) => backends.every(({ state }) => state === 'up'))
})

after(async () => {
  await baton.dispose()
  rmSync(folder, { recursive: true, force: true })
})

for (const name of Object.keys(servers) as Name[]) {
  test(`${name}, unmodified: ${CONNECTIONS} connections over IPv4 and IPv6, and a download`, async () => {
    const start = await statusOf(baton)
    let codes = ''
    for (const vip of [baton.net.vip4, `[${baton.net.vip6}]`]) {
      codes += await baton.net.client.run('curl', [
        ...[
          '-s',
          '-o',
          '/dev/null',
          '--max-time',
          '20',
          '-w',
          '%{http_code}\n',
          '-H',
          `Host: ${name}.example`,
        ],
        // A connection each, four at a time.
        ...['-H', 'Connection: close', '-Z', '--parallel-max', '4'],
        `http://${vip}/small.txt?[1-${CONNECTIONS / 2}]`,
      ])
    }
    assert.equal(codes, '200\n'.repeat(CONNECTIONS))
    assert.equal(await fetchFile(name), fileSha256)
    const end = await until('every flow is over', noFlows)
    assert.equal(end.handoffs.adopted - start.handoffs.adopted, CONNECTIONS + 1)
    assert.equal(sum(end.relays), sum(start.relays))
  })
}

test('what a client sends, and its FIN, at any moment around the handoff', async () => {
  const start = await statusOf(baton)
  const upload = async (index: number) => {
    const body = randomBytes(20_000 + index)
    const fields = `Host: node.example\r\nConnection: close\r\nContent-Length: ${body.length}`
    const socket = connectFrom(baton.net.client, baton.net.vip4, 80, { allowHalfOpen: true })
    const received = new Received(socket)
    socket.write(`POST / HTTP/1.1\r\n${fields}\r\n\r\n`)
    // The head alone begins the handoff; what follows meets it at another moment each time.
    for (let turn = 0; turn < index % 12; turn++) await nextTurn()
    socket.write(body.subarray(0, 7000))
    await sleep(index % 8)
    socket.end(body.subarray(7000))
    await received.until(new RegExp(createHash('sha256').update(body).digest('hex')), 20_000)
    socket.destroy()
  }
  for (let round = 0; round < 10; round++) {
    await Promise.all(Array.from({ length: 12 }, (_, index) => upload(round * 12 + index)))
  }
  const end = await until('every flow is over', noFlows)
  // One whose FIN is here before its handoff begins is relayed.
  const adopted = end.handoffs.adopted - start.handoffs.adopted
  const relayed = sum(end.relays) - sum(start.relays)
  assert.equal(adopted + relayed, 120)
  assert.ok(adopted >= 10, `${adopted} adopted`)
})

test("nginx's access log has the client's own addresses", () => {
  const lines = readFileSync(accessLog, 'utf8').trim().split('\n')
  const addresses = new Set(lines.map((line) => line.split(' ')[0]))
  assert.equal(lines.length, CONNECTIONS + 1)
  assert.deepEqual(
    [...addresses].sort(),
    [standardAddresses.client.ipv4, standardAddresses.client.ipv6].sort(),
  )
})

test('every worker of nginx that listens by itself (reuseport) gets connections, as by the kernel', async () => {
  const workers = await baton.net.client.run('curl', [
    ...['-s', '-o', '/dev/null', '--max-time', '20', '-w', '%header{x-worker}\n', '-H', 'Connection: close'],
    ...['-H', 'Host: nginx.example', `http://${baton.net.vip4}/small.txt?[1-60]`],
  ])
  assert.equal(new Set(workers.trim().split('\n')).size, WORKERS)
})

test('window scaling, SACK and timestamps of the client, each on and off', async () => {
  const start = await statusOf(baton)
  const names = ['tcp_window_scaling', 'tcp_sack', 'tcp_timestamps']
  for (let bits = 0; bits < 8; bits++) {
    const entries = names.map((name, index) => [`net.ipv4.${name}`, (bits >> index) & 1])
    baton.net.client.setSysctls(Object.fromEntries(entries))
    assert.equal(await fetchFile('nginx', '-r', '0-1999999'), sha256Of(2_000_000))
  }
  baton.net.client.setSysctls(Object.fromEntries(names.map((name) => [`net.ipv4.${name}`, 1])))
  assert.equal((await statusOf(baton)).handoffs.adopted - start.handoffs.adopted, 8)
})

test('the frontend is killed in mid-download, and the download is whole', async () => {
  const running = await steeredDownload()
  baton.process('front-1').kill('SIGKILL')
  await baton.process('front-1').exited
  assert.equal(await running.sha256, fileSha256)
  await startFrontend()
  await until('every flow is over', noFlows)
})

test('the agent is killed in mid-download: the connection lives on, and its successor tells of the end', async () => {
  const running = await steeredDownload()
  baton.process('nginx').kill('SIGKILL')
  await baton.process('nginx').exited
  await startAgent('nginx')
  assert.equal(await running.sha256, fileSha256)
  await until('every flow is over', noFlows)
})

test('the application is gone: refused, and relayed by the frontend, which answers 502', async () => {
  const start = await statusOf(baton)
  const app = baton.process('app-python')
  app.kill('SIGKILL')
  await app.exited
  const line = await baton.net.client.run('curl', [
    ...['-s', '-o', '/dev/null', '-w', '%{http_code}', '--max-time', '20'],
    ...['-H', 'Host: python.example', `http://${baton.net.vip4}/small.txt`],
  ])
  assert.equal(line, '502')
  assert.equal((await statusOf(baton)).handoffs.refused - start.handoffs.refused, 1)
})

function sha256Of(length: number): string {
  return createHash('sha256')
    .update(readFileSync(join(folder, 'file.bin')).subarray(0, length))
    .digest('hex')
}
