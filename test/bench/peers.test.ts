import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openFilesLimit } from '../../bench/peers/descriptors.js'
import { isBaton, isProxy, kindOf, peerNames } from '../../bench/peers/peer.js'
import { proxyCommand } from '../../bench/peers/proxies.js'

/** The configuration that a proxy would be started with, and how. */
function configured(name: 'haproxy' | 'haproxy-splice' | 'nginx' | 'http-proxy' | 'fastify') {
  const files = new Map<string, string>()
  const command = proxyCommand(name, {
    listen: '10.0.0.2:80',
    servers: ['10.0.0.11:8080', '10.0.0.12:8080'],
    connections: 100,
    directory: '/run/baton/x',
    write: (file, content) => {
      files.set(file, content)
      return `/etc/${file}`
    },
  })
  return { ...command, config: [...files.values()].join('\n') }
}

test('every peer is the direct way, a proxy, or Baton of a kind', () => {
  for (const name of peerNames)
    assert.equal(Number(name === 'direct') + Number(isProxy(name)) + Number(isBaton(name)), 1)
  assert.deepEqual(peerNames.filter(isBaton).map(kindOf), ['adopt', 'inline', 'http'])
})

test('HAProxy splices by force or not at all, never as it thinks fit', () => {
  const plain = configured('haproxy')
  assert.match(plain.config, /^ {2}nosplice$/m)
  assert.doesNotMatch(plain.config, /option splice-response/)
  const forced = configured('haproxy-splice')
  assert.match(forced.config, /^ {2}option splice-response$/m)
  assert.doesNotMatch(forced.config, /nosplice|splice-auto/)
  for (const { config } of [plain, forced]) {
    assert.match(config, /bind 10\.0\.0\.2:80 /)
    assert.match(config, /server origin1 10\.0\.0\.11:8080 [^\n]*\n *server origin2 10\.0\.0\.12:8080 /)
  }
})

test('nginx keeps its connections to the backends, and its answers out of files', () => {
  const { config, args } = configured('nginx')
  assert.match(config, /keepalive 256;/)
  assert.match(config, /proxy_http_version 1\.1;\s+proxy_set_header Connection "";/)
  assert.match(config, /proxy_max_temp_file_size 0;/)
  assert.match(config, /server 10\.0\.0\.11:8080;\s+server 10\.0\.0\.12:8080;/)
  assert.deepEqual(args.slice(-2), ['-c', '/etc/nginx.conf'])
})

test('the proxies of Node are programs with the backends as arguments', () => {
  for (const name of ['http-proxy', 'fastify'] as const) {
    const { command, args } = configured(name)
    assert.equal(command, process.execPath)
    assert.deepEqual(args.slice(1), ['10.0.0.2:80', '10.0.0.11:8080', '10.0.0.12:8080'])
  }
})

test('the limit of open files is the hard one', () => {
  const line = (soft: string, hard: string) =>
    `Limit  Soft Limit  Hard Limit  Units\nMax open files            ${soft}   ${hard}    files\n`
  assert.equal(openFilesLimit(line('1024', '20000')), 20000)
  assert.equal(openFilesLimit(line('1024', 'unlimited')), 1_048_576)
  assert.throws(() => openFilesLimit(''), /no limit of open files/)
})
