import assert from 'node:assert/strict'
import { createServer as createHttpServer } from 'node:http'
import { type AddressInfo, connect, createServer, type Server } from 'node:net'
import { after, before, test } from 'node:test'
import { frontendPage } from '../../src/cli/status-page.js'
import { parseFrontendConfig } from '../../src/config/index.js'
import { type Frontend, type FrontendStatus, frontendFromConfig } from '../../src/frontend/index.js'
import type { AccessRecord } from '../../src/telemetry/index.js'
import { enterNamespace, until } from '../gate/rig.js'

let leave: () => void
let frontend: Frontend
const servers: Server[] = []
const records: AccessRecord[] = []

const listen = async (server: Server): Promise<number> => {
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return (server.address() as AddressInfo).port
}

before(async () => {
  leave = enterNamespace('front-proxy')
  const web = await listen(
    createHttpServer((request, response) => response.end(`${request.headers['x-forwarded-for']}.`)),
  )
  // It speaks first, and says what it hears.
  const sql = await listen(
    createServer((socket) => {
      socket.on('error', () => undefined)
      socket.write('hello ')
      socket.pipe(socket)
    }),
  )
  frontend = frontendFromConfig(
    parseFrontendConfig(`
id: front-1
listeners:
  - { name: web, address: "127.0.0.1:8000", proxyProtocol: { from: [127.0.0.1] } }
  - { name: sql, address: "127.0.0.1:8001", protocol: tcp }
  - { name: edge, address: "127.0.0.1:8002", protocol: tcp, proxyProtocol: { from: [127.0.0.1] } }
routes:
  - { match: {}, pool: web }
  - { match: { listeners: [sql, edge] }, pool: sql }
pools:
  web: { handoff: never, backends: [{ id: web-1, address: "127.0.0.1:${web}" }] }
  sql: { handoff: never, proxyProtocol: v1, backends: [{ id: sql-1, address: "127.0.0.1:${sql}" }] }
log: { level: silent, accessLog: off }
`),
  )
  frontend.on('access', (record) => records.push(record))
  await frontend.start()
})
after(async () => {
  await frontend?.destroy()
  for (const server of servers) server.close()
  leave?.()
})

/** What a client hears that says this, until the text is whole. */
async function hear(port: number, sent: string, whole: RegExp, localAddress = '127.0.0.1'): Promise<string> {
  const socket = connect({ host: '127.0.0.1', port, localAddress })
  let text = ''
  let over = ''
  socket.on('data', (chunk) => {
    text += chunk
  })
  socket.on('error', (error: NodeJS.ErrnoException) => {
    over = error.code ?? ''
  })
  socket.write(sent)
  await until(`${whole}`, () => whole.test(text + over))
  socket.end()
  return text + over
}

const record = async (wanted: (one: AccessRecord) => boolean): Promise<AccessRecord> => {
  await until('an access record', () => records.some(wanted))
  return records.find(wanted)!
}

const line = 'PROXY TCP4 192.0.2.7 192.0.2.80 50000 443\r\n'

test('a relayed request says by whom it was sent; so does the access record, and who brought it', async () => {
  const text = await hear(8000, `${line}GET / HTTP/1.1\r\nHost: a.example\r\n\r\n`, /192\.0\.2\.7\./)
  assert.match(text, /^HTTP\/1\.1 200 OK\r\n/)
  const { client, via, vip, how } = await record(({ listener }) => listener === 'web')
  assert.deepEqual([client, vip, how], ['192.0.2.7:50000', '127.0.0.1:8000', 'relay'])
  assert.match(via ?? '', /^127\.0\.0\.1:\d+$/)
})

test('a server that speaks first is told its client by a header, and then hears the client', async () => {
  const text = await hear(8001, 'select 1', /select 1$/)
  assert.match(text, /^hello PROXY TCP4 127\.0\.0\.1 127\.0\.0\.1 \d+ 8001\r\nselect 1$/)
  const { client, via, bytesIn, cause } = await record(({ listener }) => listener === 'sql')
  assert.match(client, /^127\.0\.0\.1:\d+$/)
  assert.deepEqual([via, bytesIn, cause], [null, 8, 'backend'])
})

test('a claimed client is passed on with the address that it connected to', async () => {
  assert.equal(await hear(8002, `${line}select 2`, /select 2$/), `hello ${line}select 2`)
  const { client, bytesIn } = await record(({ listener }) => listener === 'edge')
  assert.deepEqual([client, bytesIn], ['192.0.2.7:50000', 8])
})

test('without the header, and from elsewhere, nobody is served; both are counted', async () => {
  for (const port of [8000, 8002]) assert.equal(await hear(port, 'GET / HTTP/1.1\r\n\r\n', /./), 'ECONNRESET')
  assert.equal(await hear(8000, line, /./, '127.0.0.2'), 'ECONNRESET')
  const status = (await (await fetch('http://127.0.0.1:9900/v1/status')).json()) as FrontendStatus
  assert.deepEqual(status.rejected, { BATON_PROXY_MISSING: 2, BATON_PROXY_UNTRUSTED: 1 })
  assert.match(
    frontendPage(status),
    /listeners +web 127\.0\.0\.1:8000 \(PROXY protocol\) · sql 127\.0\.0\.1:8001 \(tcp\) · edge 127\.0\.0\.1:8002 \(tcp, PROXY protocol\)\n/,
  )
})
