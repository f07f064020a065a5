import assert from 'node:assert/strict'
import { after, afterEach, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Registry } from '../../src/registry/index.js'
import { RedisServer, until } from './redis-server.js'
import { backend, flow, ids, Lines, redisRegistry } from './support.js'

describe('Redis comes and goes', () => {
  let redis: RedisServer
  const open: Registry[] = []
  const registry = async (options: Parameters<typeof redisRegistry>[1] = {}) => {
    const made = redisRegistry(redis.url, options)
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

  test('killed and started again empty: nothing known is forgotten, nothing queued is lost', async () => {
    const lines = new Lines()
    const frontend = await registry({ logger: lines, backends: [backend('web-1', { epoch: 0 })] })
    const agent = await registry({ watch: false })
    agent.announce(backend('media-1'))
    await until('the agent', () => ids(frontend).length === 2)
    const lists: string[][] = []
    frontend.onBackends((list) => lists.push(list.map(({ id }) => id)))

    await redis.kill()
    await until('to be told', () => !frontend.status().connected && !agent.status().connected)
    frontend.putFlows(Array.from({ length: 200 }, (_, index) => flow(index)))
    frontend.removeFlows([flow(0).key])
    await assert.rejects(frontend.findFlow(flow(5000).key), { code: 'BATON_REGISTRY_UNAVAILABLE' })
    assert.ok(await frontend.findFlow(flow(1).key), 'a queued note is known')
    await sleep(1200)
    assert.deepEqual(ids(frontend), ['media-1', 'web-1'])
    assert.equal(frontend.status().queuedWrites, 200)

    await redis.run()
    await until('to be back', () => frontend.status().connected && agent.status().connected)
    // Its frontend may not have written it again yet.
    await assert.rejects(frontend.findFlow(flow(5000).key), { code: 'BATON_REGISTRY_UNAVAILABLE' })
    await until('the queue', () => frontend.status().queuedWrites === 0)
    assert.ok(await frontend.findFlow(flow(1).key), 'a note that is there is found at once')
    const other = await registry()
    await until('the agent at a new frontend', () => ids(other).includes('media-1'))
    assert.ok(await other.findFlow(flow(199).key))
    assert.equal(await other.findFlow(flow(0).key), undefined)
    await sleep(3000)
    assert.equal(await frontend.findFlow(flow(5000).key), undefined)
    assert.deepEqual(lists, [], 'the list never changed')
    assert.equal(frontend.status().droppedWrites, 0)
    assert.deepEqual(lines.lines, [
      'registry: Redis answers',
      'registry: Redis is away; everything known goes on',
      'registry: Redis answers',
    ])
  })

  test('an agent that went with Redis is missed after its time to come back', async () => {
    const frontend = await registry()
    const staying = await registry({ watch: false })
    const leaving = redisRegistry(redis.url, { watch: false })
    await leaving.start()
    staying.announce(backend('media-1'))
    leaving.announce(backend('media-2'))
    await until('both', () => ids(frontend).length === 2)
    await redis.kill()
    await leaving.close()
    await redis.run()
    await until('Redis', () => frontend.status().connected)
    assert.deepEqual(ids(frontend), ['media-1', 'media-2'])
    await until('its absence to be believed', () => ids(frontend).length === 1)
    assert.deepEqual(ids(frontend), ['media-1'])
  })

  test('stopped for longer than a lease: leases that ran out meanwhile are not believed', async () => {
    const lines = new Lines()
    const frontend = await registry({ logger: lines })
    const agent = await registry({ watch: false })
    agent.announce(backend('media-1'))
    await until('the agent', () => ids(frontend).length === 1)
    const lists: number[] = []
    frontend.onBackends((list) => lists.push(list.length))
    redis.signal('SIGSTOP')
    try {
      await until('to be told', () => !frontend.status().connected)
      const since = performance.now()
      for (let round = 0; round < 100; round++) frontend.putFlows([flow(round)])
      assert.ok(performance.now() - since < 1000, 'callers do not wait')
      await sleep(5500)
    } finally {
      redis.signal('SIGCONT')
    }
    await until('to be back', () => frontend.status().connected && agent.status().connected)
    await until('the queue', () => frontend.status().queuedWrites === 0)
    await sleep(1200)
    assert.deepEqual(lists, [])
    assert.ok(lines.lines.length <= 5, lines.lines.join('\n'))
  })
})
