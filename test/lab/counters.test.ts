import assert from 'node:assert/strict'
import { test } from 'node:test'
import { changed, parseNetDev, parseSnmp } from '../../src/lab/counters.js'
import { listeningPorts, parseSockets } from '../../src/lab/sockets.js'

test('an interface line of /proc/net/dev is read by its columns', () => {
  const text = [
    'Inter-|   Receive                                                |  Transmit',
    ' face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed',
    '    lo:     100       2    0    0    0     0          0         0      100       2    0    0    0     0       0          0',
    '  eth0:123456789    1000    1    7    0     0          0         0   987654    2000    2    9    0     0       0          0',
  ].join('\n')
  assert.deepEqual(parseNetDev(text, 'eth0'), {
    rxBytes: 123456789,
    rxPackets: 1000,
    rxDropped: 7,
    txBytes: 987654,
    txPackets: 2000,
    txDropped: 9,
  })
  assert.equal(parseNetDev(text, 'eth'), undefined)
})

test('the counters of /proc/net/snmp are keyed by group and name, also negative ones', () => {
  const text = 'Tcp: RtoAlgorithm MaxConn RetransSegs OutRsts\nTcp: 1 -1 42 7\nUdp: InDatagrams\nUdp: 5\n'
  const counters = parseSnmp(text)
  assert.deepEqual(counters, {
    'Tcp.RtoAlgorithm': 1,
    'Tcp.MaxConn': -1,
    'Tcp.RetransSegs': 42,
    'Tcp.OutRsts': 7,
    'Udp.InDatagrams': 5,
  })
  assert.deepEqual(changed(counters, { ...counters, 'Tcp.OutRsts': 9, 'Tcp.New': 1 }), {
    'Tcp.OutRsts': 2,
    'Tcp.New': 1,
  })
})

test('the rows of ss are read with IPv4, IPv6, mapped, scoped and wildcard addresses', () => {
  const rows = parseSockets(
    [
      'LISTEN 0      511           *:8080             *:*     cubic cwnd:10',
      'ESTAB  3      5      10.0.0.11%eth0:80    192.0.2.10:4711 cubic rto:204 retrans:0/1',
      'ESTAB  0      0      [::ffff:10.0.0.11]:80 [::ffff:192.0.2.10]:4712',
      'TIME-WAIT 0   0      [fd00::11]:80   [2001:db8::10]:5000',
      'not a socket',
    ].join('\n'),
  )
  assert.deepEqual(
    rows.map(({ state, local, peer }) => [state, local.address, local.port, peer.address, peer.port]),
    [
      ['LISTEN', '::', 8080, '::', 0],
      ['ESTAB', '10.0.0.11', 80, '192.0.2.10', 4711],
      ['ESTAB', '::ffff:10.0.0.11', 80, '::ffff:192.0.2.10', 4712],
      ['TIME-WAIT', 'fd00::11', 80, '2001:db8::10', 5000],
    ],
  )
  assert.equal(rows[1]?.receiveQueueBytes, 3)
  assert.equal(rows[1]?.sendQueueBytes, 5)
  assert.match(rows[1]?.details ?? '', /retrans:0\/1/)
})

test('only listening sockets count as listening ports', () => {
  const text = [
    '  sl  local_address rem_address   st tx_queue rx_queue',
    '   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000',
    '   1: 0100007F:0050 0100007F:9C40 01 00000000:00000000',
  ].join('\n')
  assert.deepEqual([...listeningPorts(text)], [8080])
})
