import assert from 'node:assert/strict'
import { fork } from 'node:child_process'
import { join } from 'node:path'
import { after, afterEach, before, describe, test } from 'node:test'
import { Redis } from 'ioredis'
import type { Registry } from '../../src/registry/index.js'
import { RedisServer, until } from './redis-server.js'
import { backend, ids, Lines, redisRegistry } from './support.js'

describe('backends in Redis', () => {
  let redis: RedisServer
  const open: Registry[] = []
  const registry = async (
    ...args: Parameters<typeof redisRegistry> extends [string, ...infer Rest] ? Rest : never
  ) => {
    const made = redisRegistry(redis.url, ...args)
    open.push(made)
    await made.start()
    return made
  }
  before(async () => {
    redis = await RedisServer.start()
  })
  afterEach(async () => {
    await Promise.all(open.splice(0).map((one) => one.close()))
  })
  after(() => redis.dispose())

  test('two frontends see an agent come, change and go', async (t) => {
    const [first, second, agent] = await Promise.all([registry(), registry(), registry({ watch: false })])
    const lists: string[][] = []
    second.onBackends((list) =>
      lists.push(list.map(({ id, draining }) => `${id}${draining ? ' draining' : ''}`)),
    )
    const announcement = agent.announce(backend('media-1'))
    const came = await until(
      'both lists',
      () => ids(first).includes('media-1') && ids(second).includes('media-1'),
    )
    announcement.update({ draining: true })
    const changed = await until('draining', () => first.backends()[0]?.draining === true)
    await until('draining', () => second.backends()[0]?.draining === true)
    await announcement.withdraw()
    const went = await until('withdrawal', () => ids(first).length === 0 && ids(second).length === 0)
    assert.deepEqual(lists, [['media-1'], ['media-1 draining'], []])
    t.diagnostic(`came ${came.toFixed(0)} ms, changed ${changed.toFixed(0)} ms, went ${went.toFixed(0)} ms`)
  })

  test('a frontend that starts later knows the agents when start() resolves', async () => {
    const agent = await registry({ watch: false })
    agent.announce(backend('media-1', { epoch: 5, active: 3 }))
    agent.announce(backend('media-2', { agent: null }))
    await until('both', async () => {
      const late = await registry()
      return ids(late).length === 2
    })
    const late = await registry()
    assert.deepEqual(late.backends(), [
      backend('media-1', { epoch: 5, active: 3 }),
      backend('media-2', { agent: null }),
    ])
  })

  test('load travels with the renewals', async () => {
    const [frontend, agent] = await Promise.all([registry(), registry({ watch: false })])
    const announcement = agent.announce(backend('media-1'))
    await until('the agent', () => ids(frontend).length === 1)
    announcement.update({ active: 42 })
    await until('its load', () => frontend.backends()[0]?.active === 42)
  })

  test('what the file says of a backend stays, and its agent adds the rest', async () => {
    const configured = [
      backend('media-1', { agent: null, weight: 7, epoch: 0, pools: ['media'] }),
      backend('web-1'),
    ]
    const frontend = await registry({ backends: configured })
    const agent = await registry({ watch: false })
    const announced = backend('media-1', {
      address: { address: '10.9.9.9', port: 1 },
      weight: 2,
      epoch: 9,
      pools: ['web'],
    })
    const announcement = agent.announce(announced)
    await until('the merge', () => frontend.backends()[0]?.epoch === 9)
    assert.deepEqual(frontend.backends()[0], {
      ...announced,
      pools: ['media', 'web'],
      address: { address: '10.0.0.11', port: 8080 },
      weight: 7,
    })
    await announcement.withdraw()
    await until('the file alone', () => frontend.backends()[0]?.epoch === 0)
    assert.deepEqual(frontend.backends(), configured)
  })

  test('an agent that is killed is gone when its lease ends, and Redis keeps nothing of it', async (t) => {
    const frontend = await registry()
    const agent = fork(join(import.meta.dirname, 'fixtures/agent.js'), [redis.url, 'media-1'])
    await until('the agent', () => ids(frontend).length === 1)
    agent.kill('SIGKILL')
    const gone = await until('the end of its lease', () => ids(frontend).length === 0)
    const admin = new Redis(redis.port)
    await until('the sweep', async () => (await admin.dbsize()) === 0)
    admin.disconnect()
    t.diagnostic(`gone ${gone.toFixed(0)} ms after it was killed`)
  })

  test('a restarted agent keeps its place when its former self withdraws late', async () => {
    const frontend = await registry()
    const former = await registry({ watch: false })
    const withdrawn = former.announce(backend('media-1', { epoch: 1 }))
    await until('the former', () => frontend.backends()[0]?.epoch === 1)
    const admin = new Redis(redis.port)
    const lease = JSON.parse((await admin.get('baton:{backends}:lease:media-1')) ?? '')
    // The successor's announcement, in place of a second renewal of the former's.
    await admin.set(
      'baton:{backends}:lease:media-1',
      JSON.stringify({ ...lease, epoch: 2, nonce: 'other' }),
      'PX',
      3000,
    )
    await withdrawn.withdraw()
    assert.equal(JSON.parse((await admin.get('baton:{backends}:lease:media-1')) ?? '').epoch, 2)
    await until('the successor', () => frontend.backends()[0]?.epoch === 2)
    admin.disconnect()
  })

  test('two agents with one id are told of it, once', async () => {
    const [one, two] = [new Lines(), new Lines()]
    const first = await registry({ watch: false, logger: one })
    const second = await registry({ watch: false, logger: two })
    first.announce(backend('media-1', { epoch: 1 }))
    second.announce(backend('media-1', { epoch: 2 }))
    const told = () =>
      [...one.lines, ...two.lines].filter((line) => line.includes('two agents are called media-1'))
    await until('the complaint', () => told().length > 0)
    assert.ok(one.lines.filter((line) => line.includes('two agents')).length <= 1)
  })

  test('records that no Baton wrote are left out', async () => {
    const lines = new Lines()
    const frontend = await registry({ logger: lines })
    const admin = new Redis(redis.port)
    const agent = await registry({ watch: false })
    for (const [id, text] of [
      ['a', 'no json'],
      ['b', '{"id":"b"}'],
      ['c', JSON.stringify({ ...backend('other'), nonce: 'x' })],
      ['d', JSON.stringify({ ...backend('d'), weight: 0, nonce: 'x' })],
      ['e', JSON.stringify({ ...backend('e', { agent: { address: 'host.example', port: 1 } }), nonce: 'x' })],
    ] as const) {
      await admin.sadd('baton:{backends}:ids', id)
      await admin.set(`baton:{backends}:lease:${id}`, text, 'PX', 60_000)
    }
    agent.announce(backend('media-1'))
    await until('the one good record', () => ids(frontend).length > 0)
    assert.deepEqual(ids(frontend), ['media-1'])
    assert.equal(lines.lines.filter((line) => line.includes('announces is no record')).length, 5)
    await admin.flushall()
    admin.disconnect()
  })

  test('another prefix is another installation', async () => {
    const frontend = await registry()
    const agent = await registry({ watch: false }, 'elsewhere:')
    const own = await registry({ watch: false })
    agent.announce(backend('foreign-1'))
    own.announce(backend('media-1'))
    await until('the own agent', () => ids(frontend).length > 0)
    assert.deepEqual(ids(frontend), ['media-1'])
  })

  test('a closed registry says so', async () => {
    const closed = await registry()
    await closed.close()
    await closed.close()
    assert.throws(() => closed.announce(backend('media-1')), { code: 'BATON_REGISTRY_CLOSED' })
    await assert.rejects(closed.findFlow(Buffer.alloc(36)), { code: 'BATON_REGISTRY_CLOSED' })
  })
})
