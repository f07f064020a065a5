import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { encodeNotes, type Notes } from '../../src/frontend/context.js'
import { Ledger } from '../../src/frontend/ledger.js'
import { readRequestHead } from '../../src/gate/index.js'
import type { Closed } from '../../src/handoff/index.js'
import { flowKey } from '../../src/kernel/flow.js'
import { createRegistry } from '../../src/registry/index.js'
import { AccessLog, createLogger, FrontendMetrics } from '../../src/telemetry/index.js'

let folder: string
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'baton-ledger-'))
})
after(() => rmSync(folder, { recursive: true }))

const flow = flowKey({
  client: { address: '192.0.2.10', port: 40_000 },
  vip: { address: '10.0.0.100', port: 80 },
})
const notes: Notes = {
  acceptedAt: Date.now() - 5000,
  listener: 'web',
  client: null,
  method: 'GET',
  path: '/v/1',
  host: 'cat.video.example',
  route: 3,
  pool: 'media',
  backend: 'media-1',
  headMs: 1.5,
  chooseMs: 0.25,
}
const closed: Closed = {
  type: 'closed',
  id: 7,
  flow,
  bytesIn: 100,
  bytesOut: 5000,
  durationMs: 40,
  cause: 'client',
  requests: 1,
  status: 200,
  context: encodeNotes(notes),
}

type Line = Record<string, unknown> & { phases: Record<string, unknown> }

/** A ledger without a flow table, and what it has written and counted when `act` is done. */
async function written(
  act: (ledger: Ledger) => void,
  wanted = true,
): Promise<{ lines: Line[]; metrics: FrontendMetrics }> {
  const file = join(folder, `${Math.random()}.log`)
  const accessLog = new AccessLog({ destination: file })
  const metrics = new FrontendMetrics()
  const logger = createLogger({ component: 'frontend', level: 'silent' })
  const registry = createRegistry({ kind: 'memory' }, { logger })
  act(
    new Ledger({
      frontend: 'front-1',
      metrics,
      registry,
      steering: undefined,
      records: { wanted, write: (record) => accessLog.write(record) },
      beforeLinger: () => undefined,
    }),
  )
  await accessLog.close()
  await registry.close()
  const lines = readFileSync(file, 'utf8').split('\n')
  assert.equal(lines.pop(), '')
  return { lines: lines.map((line) => JSON.parse(line) as Line), metrics }
}

describe('the end of a connection that was handed over', () => {
  test('is one line, made of the notes that travelled with it and of what the agent counted', async () => {
    const { lines, metrics } = await written((ledger) => ledger.closed(closed))
    const [line] = lines
    assert.equal(lines.length, 1)
    const { durationMs, time, ...rest } = line!
    assert.deepEqual(rest, {
      frontend: 'front-1',
      listener: 'web',
      client: '192.0.2.10:40000',
      via: null,
      vip: '10.0.0.100:80',
      method: 'GET',
      path: '/v/1',
      host: 'cat.video.example',
      route: 3,
      pool: 'media',
      backend: 'media-1',
      how: 'handoff',
      reason: null,
      status: 200,
      requests: 1,
      bytesIn: 100,
      bytesOut: 5000,
      phases: { headMs: 1.5, chooseMs: 0.25, handoffMs: null },
      cause: 'client',
    })
    assert.equal(time, new Date(notes.acceptedAt).toISOString())
    // From accept, not from the adoption.
    assert.ok(Number(durationMs) >= 5000)
    assert.deepEqual(metrics.closed.totals(), { client: 1 })
    assert.deepEqual(metrics.bytes.totals(), { in: 100, out: 5000 })
  })

  test('with notes that are not ours: what the agent says, and nothing made up', async () => {
    const { lines } = await written((ledger) => ledger.closed({ ...closed, context: Buffer.from('?') }))
    const [line] = lines
    assert.deepEqual(
      [line?.listener, line?.method, line?.path, line?.host, line?.route, line?.pool, line?.backend],
      ['', null, null, null, null, null, null],
    )
    assert.deepEqual([line?.client, line?.bytesOut, line?.durationMs], ['192.0.2.10:40000', 5000, 40])
  })

  test('status 0 is unknown; every cause is counted by itself; a connection that moved has a line too', async () => {
    const { lines, metrics } = await written((ledger) => {
      ledger.closed({ ...closed, status: 0, cause: 'moved' })
      ledger.closed({ ...closed, id: 8, cause: 'backend' })
    })
    assert.deepEqual(
      lines.map(({ status, cause }) => [status, cause]),
      [
        [null, 'moved'],
        [200, 'backend'],
      ],
    )
    assert.deepEqual(metrics.closed.totals(), { moved: 1, backend: 1 })
  })

  test('a flow that another frontend claimed has no line here: its connection goes on', async () => {
    const { lines, metrics } = await written((ledger) => ledger.closed({ ...closed, cause: 'claimed' }))
    assert.deepEqual(lines, [])
    assert.deepEqual(metrics.closed.totals(), {})
    assert.deepEqual(
      Object.values(metrics.bytes.totals()).filter((bytes) => bytes > 0),
      [],
    )
  })

  test('is counted all the same where nobody reads records, and none is made', async () => {
    const { lines, metrics } = await written((ledger) => ledger.closed(closed), false)
    assert.deepEqual(lines, [])
    assert.deepEqual(metrics.closed.totals(), { client: 1 })
    assert.deepEqual(metrics.bytes.totals(), { in: 100, out: 5000 })
  })

  test('without notes, of a time when nobody read records, is a line with what the agent says', async () => {
    const { lines } = await written((ledger) => ledger.closed({ ...closed, context: Buffer.alloc(0) }))
    assert.deepEqual([lines[0]?.client, lines[0]?.pool, lines[0]?.bytesOut], ['192.0.2.10:40000', null, 5000])
  })

  test('an IPv6 client is written with brackets', async () => {
    const six = flowKey({
      client: { address: '2001:db8::10', port: 40_000 },
      vip: { address: 'fd00::100', port: 80 },
    })
    const { lines } = await written((ledger) => ledger.closed({ ...closed, flow: six }))
    assert.deepEqual([lines[0]?.client, lines[0]?.vip], ['[2001:db8::10]:40000', '[fd00::100]:80'])
  })
})

describe('a request that was refused', () => {
  const text = Buffer.from('GET /secret?token=1 HTTP/1.1\r\nHost: Shop.Example:80\r\n\r\n')
  const head = readRequestHead(text, text.length, 4096)

  test('says what was asked, why not, and what was answered', async () => {
    assert.equal(head.kind, 'head')
    const refusal = {
      ...{ listener: 'web', flow, claimed: null, status: 404, alert: null },
      ...({ code: 'BATON_NO_ROUTE', bytesOut: 120 } as const),
    }
    const { lines, metrics } = await written((ledger) =>
      ledger.refused({
        ...refusal,
        head: head.kind === 'head' ? head.head : undefined,
        acceptedAtMs: performance.now() - 30,
      }),
    )
    const [line] = lines
    assert.deepEqual(
      [line?.how, line?.reason, line?.status, line?.method, line?.path, line?.host, line?.cause],
      ['reject', 'BATON_NO_ROUTE', 404, 'GET', '/secret', 'shop.example', 'reject'],
    )
    assert.deepEqual([line?.bytesIn, line?.bytesOut], [text.length, 120])
    assert.ok(Number(line?.durationMs) >= 30)
    assert.deepEqual(metrics.rejected.totals(), { 404: 1 })
  })

  test('without a head: no method, no path', async () => {
    const { lines } = await written((ledger) =>
      ledger.refused({
        listener: 'web',
        flow,
        claimed: null,
        status: 408,
        alert: null,
        code: 'BATON_GATE_HEAD_TIMEOUT',
        head: undefined,
        bytesOut: 90,
        acceptedAtMs: performance.now(),
      }),
    )
    assert.deepEqual([lines[0]?.method, lines[0]?.path, lines[0]?.status], [null, null, 408])
  })

  test('of TLS: the server name and no status; counted by its alert', async () => {
    const { lines, metrics } = await written((ledger) =>
      ledger.refused({
        listener: 'secure',
        flow,
        claimed: null,
        status: null,
        alert: 'unrecognized_name',
        code: 'BATON_NO_TLS_ROUTE',
        head: { kind: 'tls', sni: 'a.example', alpn: ['h2'], version: 0x0303, headBytes: 517 },
        bytesOut: 7,
        acceptedAtMs: performance.now(),
      }),
    )
    const [line] = lines
    assert.deepEqual(
      [line?.method, line?.path, line?.host, line?.status, line?.reason, line?.bytesIn],
      [null, null, 'a.example', null, 'BATON_NO_TLS_ROUTE', 517],
    )
    assert.deepEqual(metrics.rejected.totals(), { unrecognized_name: 1 })
  })
})

describe('behind a balancer that says who the client is', () => {
  const claimed = flowKey({
    client: { address: '2001:db8::7', port: 50_000 },
    vip: { address: '2001:db8::80', port: 443 },
  })

  test('the client is the claimed one, and the balancer stands beside it', async () => {
    const refusal = {
      listener: 'web',
      flow,
      status: null,
      alert: null,
      head: undefined,
      bytesOut: 0,
    } as const
    const acceptedAtMs = performance.now()
    const { lines, metrics } = await written((ledger) => {
      ledger.closed({ ...closed, context: encodeNotes({ ...notes, client: '[2001:db8::7]:50000' }) })
      ledger.refused({ ...refusal, claimed, code: 'BATON_GATE_FULL', acceptedAtMs })
      ledger.refused({ ...refusal, claimed: null, code: 'BATON_PROXY_MISSING', acceptedAtMs })
    })
    assert.deepEqual(
      lines.map(({ client, via, vip }) => [client, via, vip]),
      [
        ['[2001:db8::7]:50000', '192.0.2.10:40000', '10.0.0.100:80'],
        ['[2001:db8::7]:50000', '192.0.2.10:40000', '10.0.0.100:80'],
        ['192.0.2.10:40000', null, '10.0.0.100:80'],
      ],
    )
    // Where nothing was said there is neither a status nor an alert to count by.
    assert.deepEqual(metrics.rejected.totals(), { BATON_GATE_FULL: 1, BATON_PROXY_MISSING: 1 })
  })
})

test('a relayed request: its backend and reason; an answer that never was has no status', async () => {
  const done = {
    listener: 'web',
    client: '192.0.2.10:40000',
    via: null,
    vip: '10.0.0.100:80',
    method: 'GET',
    path: '/a',
    host: 'a',
    route: 0,
    pool: 'web',
    backend: 'web-1',
    reason: 'agent_down',
    status: 200,
    bytesIn: 50,
    bytesOut: 70,
    startedAtMs: performance.now(),
    error: null,
  } as const
  const { lines } = await written((ledger) => {
    ledger.relayed(done)
    ledger.relayed({ ...done, status: 0, error: 'BATON_RELAY_CLIENT_GONE' })
  })
  assert.deepEqual(
    lines.map(({ how, reason, backend, status, requests, cause, bytesIn, bytesOut }) => [
      how,
      reason,
      backend,
      status,
      requests,
      cause,
      bytesIn,
      bytesOut,
    ]),
    [
      ['relay', 'agent_down', 'web-1', 200, 1, 'backend', 50, 70],
      ['relay', 'agent_down', 'web-1', null, 1, 'BATON_RELAY_CLIENT_GONE', 50, 70],
    ],
  )
})
