import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import { type AddressInfo, createServer as createTcpServer } from 'node:net'
import { test } from 'node:test'
import { promisify } from 'node:util'
import {
  answeredOf,
  clientArgs,
  errorsOf,
  type Get,
  type LoadPlan,
  type LoadResult,
} from '../../bench/client/index.js'
import { compiled } from '../../bench/compile.js'

const run = promisify(execFile)

async function load(plan: LoadPlan): Promise<LoadResult> {
  const { stdout } = await run(compiled('client/client.c'), clientArgs(plan))
  return JSON.parse(stdout) as LoadResult
}

async function withServer(listener: RequestListener, act: (get: Get) => Promise<void>): Promise<void> {
  const server = createServer(listener).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  try {
    await act({ address: '127.0.0.1', port, host: 'www.example', path: '/x' })
  } finally {
    server.closeAllConnections()
    server.close()
  }
}

const answer: RequestListener = (_request, response) => {
  response.writeHead(200, { 'content-length': 1000 }).end('x'.repeat(1000))
}

test('a closed loop makes a new connection for each request, and asks for its end', async () => {
  const seen: (string | undefined)[] = []
  const sockets = new Set<unknown>()
  const listener: RequestListener = (request, response) => {
    seen.push(`${request.method} ${request.url} ${request.headers.host} ${request.headers.connection}`)
    sockets.add(request.socket)
    answer(request, response)
  }
  await withServer(listener, async (get) => {
    const result = await load({ to: [get], count: 20, loop: { kind: 'closed', connections: 4 } })
    assert.deepEqual([answeredOf(result), errorsOf(result), result.started], [20, 0, 20])
    assert.equal(result.targets[0]?.firstByteUs.length, 20)
    assert.ok(result.targets[0]?.firstByteUs.every((us) => us > 0))
  })
  assert.deepEqual(new Set(seen), new Set(['GET /x www.example close']))
  assert.equal(sockets.size, 20)
})

test('kept connections carry all requests', async () => {
  const sockets = new Set<unknown>()
  const listener: RequestListener = (request, response) => {
    sockets.add(request.socket)
    answer(request, response)
  }
  await withServer(listener, async (get) => {
    const result = await load({ to: [get], count: 50, loop: { kind: 'closed', connections: 2, keep: true } })
    assert.equal(answeredOf(result), 50)
    assert.equal(errorsOf(result), 0)
  })
  assert.equal(sockets.size, 2)
})

test('an open loop begins what is due, and charges a stall to all that waited for it', async () => {
  let stalledUntilMs = 0
  const listener: RequestListener = (request, response) => {
    if (stalledUntilMs === 0) stalledUntilMs = performance.now() + 300
    setTimeout(() => answer(request, response), Math.max(0, stalledUntilMs - performance.now()))
  }
  await withServer(listener, async (get) => {
    const result = await load({
      to: [get],
      count: 200,
      seconds: 5,
      loop: { kind: 'open', rate: 1000, seed: 1 },
    })
    assert.deepEqual([answeredOf(result), errorsOf(result)], [200, 0])
    const times = result.targets[0]!.firstByteUs
    assert.ok(Math.max(...times) >= 290_000)
    assert.ok(times.filter((us) => us > 100_000).length > 20)
  })
})

test('one connection takes several targets in turn', async () => {
  const counts = [0, 0]
  const counting =
    (index: number): RequestListener =>
    (request, response) => {
      counts[index]!++
      answer(request, response)
    }
  await withServer(counting(0), (one) =>
    withServer(counting(1), async (two) => {
      const result = await load({ to: [one, two], count: 10, loop: { kind: 'closed', connections: 1 } })
      assert.deepEqual(
        result.targets.map(({ answered }) => answered),
        [5, 5],
      )
    }),
  )
  assert.deepEqual(counts, [5, 5])
})

test('what goes wrong is counted by its kind', async () => {
  const one = (get: Get) => load({ to: [get], count: 3, loop: { kind: 'closed', connections: 1 } })
  await withServer(
    (_request, response) => response.writeHead(503, { 'content-length': 0 }).end(),
    async (get) => assert.equal((await one(get)).errors.status, 3),
  )
  await withServer(
    (_request, response) => {
      response.writeHead(200, { 'content-length': 1000 }).write('x')
      response.socket?.end()
    },
    async (get) => assert.equal((await one(get)).errors.short, 3),
  )
  const closed = createTcpServer().listen(0, '127.0.0.1')
  await once(closed, 'listening')
  const { port } = closed.address() as AddressInfo
  closed.close()
  await once(closed, 'close')
  assert.equal((await one({ address: '127.0.0.1', port, host: 'x', path: '/' })).errors.connect, 3)
})

test('a client without bounds, or with a plan that means two things, is refused', async () => {
  const to = ['--to', '127.0.0.1:1:x:/']
  for (const args of [
    [...to, '--connections', '1'],
    [...to, '--seconds', '1'],
    [...to, '--seconds', '1', '--connections', '1', '--rate', '1'],
    [...to, ...to, '--seconds', '1', '--connections', '2'],
    [...to, '--seconds', '100000', '--connections', '2'],
    ['--to', '127.0.0.1:1', '--count', '1', '--connections', '1'],
  ]) {
    await assert.rejects(run(compiled('client/client.c'), args), /not understood/)
  }
})
