import assert from 'node:assert/strict'
import { createServer, type Server } from 'node:http'
import { after, before, test } from 'node:test'
import {
  changed,
  type Host,
  retransmissions,
  type StandardTopology,
  standardTopology,
} from '../../src/lab/index.js'

const mebibyte = Buffer.alloc(1 << 20, 'baton')

let net: StandardTopology
const servers: Server[] = []

/** A server in this process that says where it was reached and by whom. */
async function serve(host: Host, port: number): Promise<void> {
  const server = createServer((request, response) => {
    if (request.url === '/big') response.end(mebibyte)
    else response.end(`${host.name} ${request.socket.localAddress} ${request.socket.remoteAddress}`)
  })
  servers.push(server)
  await host.listen(server, port)
}

const curl = (...urls: string[]) => net.client.run('curl', ['-sS', '-m', '5', ...urls])

before(async () => {
  net = standardTopology({ prefix: 'btlabtopo', redis: true, superFrames: false })
  for (const host of net.frontends) await serve(host, 80)
  await serve(net.backends[0]!, 8080)
})
after(async () => {
  for (const server of servers) server.close().closeAllConnections()
  await net.dispose()
})

test('the client reaches every host of the LAN through the router, by IPv4 and IPv6', async () => {
  const backend = net.backends[0]!
  assert.equal(backend.ipv4, '10.0.0.11')
  assert.equal(backend.ipv6, 'fd00::11')
  assert.equal(await curl(`http://${backend.ipv4}:8080/`), 'backend1 ::ffff:10.0.0.11 ::ffff:192.0.2.10')
  assert.equal(await curl(`http://[${backend.ipv6}]:8080/`), 'backend1 fd00::11 2001:db8::10')
})

test('hosts of the LAN use their own addresses, not the VIP, as the source', async () => {
  const from = (host: Host, address: string) =>
    host.run('curl', ['-sS', '-m', '5', `http://${address}:8080/`])
  const backend = net.backends[0]!
  assert.match(await from(net.active, backend.ipv4), / ::ffff:10\.0\.0\.1$/)
  assert.match(await from(net.active, `[${backend.ipv6}]`), / fd00::1$/)
  assert.match(await from(net.backends[1]!, backend.ipv4), / ::ffff:10\.0\.0\.12$/)
  assert.match(await from(net.backends[1]!, `[${backend.ipv6}]`), / fd00::12$/)
})

test('the VIP is the active frontend, though every backend has it too, and it moves when told', async () => {
  const both = [`http://${net.vip4}/`, `http://[${net.vip6}]/`]
  const answers = (name: string) =>
    `${name} ::ffff:10.0.0.100 ::ffff:192.0.2.10${name} fd00::100 2001:db8::10`
  for (const backend of net.backends)
    assert.deepEqual(backend.addresses.get('lo'), ['10.0.0.100/32', 'fd00::100/128'])
  assert.equal(await curl(...both), answers('frontend1'))
  net.moveVip(net.frontends[1]!)
  assert.equal(net.active, net.frontends[1])
  assert.equal(await curl(...both), answers('frontend2'))
  net.moveVip(net.frontends[0]!)
  assert.equal(await curl(...both), answers('frontend1'))
})

test('interface and TCP counters tell what went where, and segments are frames without super-frames', async () => {
  const backend = net.backends[0]!
  const [sent, other] = [backend.counters(), net.backends[1]!.counters()]
  const tcp = backend.snmp()
  await curl('-o', '/dev/null', `http://${backend.ipv4}:8080/big`)
  const now = backend.counters()
  assert.ok(now.txBytes - sent.txBytes > mebibyte.length)
  assert.ok(now.txPackets - sent.txPackets >= mebibyte.length / 1448)
  assert.ok(net.backends[1]!.counters().txBytes - other.txBytes < 10_000)
  const grown = changed(tcp, backend.snmp())
  assert.equal(grown['Tcp.PassiveOpens'], 1)
  assert.ok((grown['Tcp.OutSegs'] ?? 0) >= mebibyte.length / 1448)
  assert.equal(retransmissions(grown), 0, JSON.stringify(grown))
})

test('sockets are listed with state and addresses', async () => {
  const rows = await net.backends[0]!.sockets('sport = :8080')
  assert.deepEqual(
    rows.filter((row) => row.state === 'LISTEN').map((row) => row.local.port),
    [8080],
  )
})

test('random loss costs retransmissions but no bytes', async () => {
  const backend = net.backends[0]!
  const before = backend.snmp()
  net.link(backend).lose({ toFar: 0.05, toNear: 0 })
  const bytes = await curl('-o', '/dev/null', '-w', '%{size_download}', `http://${backend.ipv4}:8080/big`)
  net.link(backend).restore()
  assert.equal(Number(bytes), mebibyte.length)
  const grown = changed(before, backend.snmp())
  assert.ok((grown['Tcp.RetransSegs'] ?? 0) > 0)
  assert.ok(retransmissions(grown) > 0)
})

test('a cut link lets nothing through until it is restored', async () => {
  const backend = net.backends[0]!
  const url = `http://${backend.ipv4}:8080/`
  net.link(backend).cut()
  const cut = await net.client.exec('curl', ['-sS', '-m', '0.3', url])
  assert.equal(cut.code, 28)
  net.link(backend).restore()
  assert.match(await curl(url), /^backend1 /)
})

test('a capped link queues by its token bucket, and the cap comes off', async () => {
  const backend = net.backends[0]!
  net.link(backend).cap(100)
  await curl('-o', '/dev/null', `http://${backend.ipv4}:8080/big`)
  const capped = await backend.run('tc', ['-s', 'qdisc', 'show', 'dev', 'eth0'])
  assert.match(capped, /qdisc tbf .* rate 100Mbit/)
  assert.ok(Number(/Sent (\d+) bytes/.exec(capped)?.[1]) > mebibyte.length)
  net.link(backend).cap(0)
  assert.doesNotMatch(await backend.run('tc', ['qdisc', 'show', 'dev', 'eth0']), /tbf/)
})
