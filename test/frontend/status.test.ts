import assert from 'node:assert/strict'
import { request } from 'node:http'
import { after, before, describe, test } from 'node:test'
import { parseFrontendConfig } from '../../src/config/index.js'
import { type Frontend, frontendFromConfig } from '../../src/frontend/index.js'
import { enterNamespace } from '../gate/rig.js'

let leave: () => void
let frontend: Frontend
const admin = 'http://127.0.0.1:9900'

before(async () => {
  leave = enterNamespace('status')
  frontend = frontendFromConfig(
    parseFrontendConfig(`
id: front-1
listeners: [{ name: web, address: "127.0.0.1:8000" }]
routes: [{ match: { host: web.example }, pool: web }]
pools:
  web:
    handoff: never
    backends: [{ id: web-1, address: "127.0.0.1:1", weight: 3 }, { id: web-2, address: "127.0.0.1:2" }]
log: { level: silent, accessLog: off }
`),
  )
  await frontend.start()
})
after(async () => {
  await frontend?.close()
  leave?.()
})

const get = async (path: string) => {
  const answer = await fetch(`${admin}${path}`)
  return { status: answer.status, text: await answer.text() }
}
const ask = (host: string) =>
  new Promise<number | undefined>((resolve, reject) => {
    // fetch() would not send a Host of ours.
    request('http://127.0.0.1:8000/', { headers: { host }, agent: false }, (answer) => {
      answer.resume().once('end', () => resolve(answer.statusCode))
    })
      .once('error', reject)
      .end()
  })

describe('the administration server of a frontend without agents or steering', () => {
  test('GET /v1/status has every key of its type, and counts what came', async () => {
    assert.equal(await ask('nobody.example'), 404)
    const status = JSON.parse((await get('/v1/status')).text)
    assert.deepEqual(Object.keys(status).sort(), [
      'backends',
      'connections',
      'failovers',
      'flows',
      'handoffs',
      'id',
      'listeners',
      'registry',
      'rejected',
      'relays',
      'role',
      'startedAt',
      'uptimeSeconds',
      'version',
    ])
    assert.deepEqual(
      [status.role, status.id, status.listeners],
      [
        'frontend',
        'front-1',
        [{ name: 'web', address: '127.0.0.1:8000', protocol: 'http', proxyProtocol: false }],
      ],
    )
    assert.deepEqual(status.connections, { accepted: 1, relayedNow: 0 })
    assert.deepEqual(new Set(Object.values(status.failovers)), new Set([0]))
    assert.deepEqual(status.handoffs, { adopted: 0, refused: 0, lost: 0, inFlight: 0, returned: 0 })
    assert.deepEqual(status.rejected, { 404: 1 })
    assert.deepEqual(status.flows, {})
    assert.deepEqual(status.registry, { kind: 'memory', connected: true, queuedWrites: 0, droppedWrites: 0 })
    assert.deepEqual(status.backends, [
      {
        id: 'web-1',
        pools: ['web'],
        agent: null,
        address: '127.0.0.1:1',
        weight: 3,
        state: 'relay',
        active: 0,
        inFlight: 0,
        relayed: 0,
        rttMs: null,
      },
      {
        id: 'web-2',
        pools: ['web'],
        agent: null,
        address: '127.0.0.1:2',
        weight: 1,
        state: 'relay',
        active: 0,
        inFlight: 0,
        relayed: 0,
        rttMs: null,
      },
    ])
  })

  test('GET /metrics counts connections, heads by pool, rejections and relays', async () => {
    assert.equal(await ask('web.example'), 502)
    const { text } = await get('/metrics')
    assert.match(text, /^baton_connections_accepted_total 2$/m)
    assert.match(text, /^baton_requests_total\{listener="web",pool="web"\} 1$/m)
    assert.match(text, /^baton_rejected_total\{status="404"\} 1$/m)
    assert.match(text, /^baton_relayed_total\{reason="pool_policy"\} 1$/m)
  })

  test('GET /healthz and /readyz say yes; /v1/flows is empty and minds its limit', async () => {
    assert.equal((await get('/healthz')).status, 200)
    assert.equal((await get('/readyz')).status, 200)
    assert.deepEqual(JSON.parse((await get('/v1/flows?limit=5')).text), [])
    for (const bad of ['0', '10001', 'x']) assert.equal((await get(`/v1/flows?limit=${bad}`)).status, 400)
  })

  test('POST /v1/logs/reopen is no GET', async () => {
    assert.equal((await fetch(`${admin}/v1/logs/reopen`, { method: 'POST' })).status, 200)
    assert.equal((await get('/v1/logs/reopen')).status, 404)
  })
})
