// A frontend inside a program of one's own: the settings of frontend.yaml, events, and a listener for line-protocol.js.
import { createFrontend } from 'baton'
import { run } from './common.js'
import { lineProtocol } from './line-protocol.js'

const { BATON_TOKEN_FILE = '/etc/baton/token', BATON_PIN_PATH = '/sys/fs/bpf/baton' } = process.env

/** One backend a pool here; more share the connections. @param {string} id @param {number} host */
const pool = (id, host) => ({ backends: [{ id, agent: `10.0.0.${host}:7400` }] })

const frontend = createFrontend({
  id: 'front-1',
  listeners: [
    { name: 'web', address: '10.0.0.100:80' },
    { name: 'web6', address: '[fd00::100]:80' },
    { name: 'secure', address: '10.0.0.100:443', protocol: 'tls' },
    { name: 'lines', address: '10.0.0.100:7000', protocol: lineProtocol },
  ],
  // The first that matches.
  routes: [
    { match: { path: { prefix: '/api/' } }, pool: 'fastify' },
    { match: { path: { exact: '/chat' } }, pool: 'chat' },
    { match: { path: { exact: '/events' } }, pool: 'events' },
    { match: {}, pool: 'http' },
    { match: { sni: 'hello.example' }, pool: 'https' },
    { match: { key: 'mail*' }, pool: 'queues' },
  ],
  pools: {
    http: pool('http-1', 11),
    https: pool('https-1', 12),
    fastify: pool('fastify-1', 13),
    chat: pool('chat-1', 14),
    events: pool('events-1', 15),
    queues: pool('lines-1', 16),
  },
  steering: { interface: 'eth0', pinPath: BATON_PIN_PATH },
  control: { tokenFile: BATON_TOKEN_FILE },
  log: { level: 'warn', accessLog: 'off' },
})

// In place of an access log: every connection that was handed over, when it is over.
frontend.on('access', ({ client, path, host, pool, how, status, bytesOut, durationMs }) => {
  console.log(
    `${client} ${path ?? host} → ${pool} by ${how}: ${status ?? '-'}, ${bytesOut} bytes in ${durationMs} ms`,
  )
})
frontend.on('agent', ({ id, up }) => console.log(`agent ${id} is ${up ? 'there' : 'away'}`))

await run(frontend)
