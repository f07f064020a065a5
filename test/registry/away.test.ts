import assert from 'node:assert/strict'
import { after, afterEach, before, describe, test } from 'node:test'
import { Redis } from 'ioredis'
import type { Registry } from '../../src/registry/index.js'
import { RedisServer, until } from './redis-server.js'
import { backend, flow, ids, Lines, redisRegistry } from './support.js'

describe('Redis is not there', () => {
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

  test('a frontend that starts without Redis knows its file, and the rest when Redis is there', async () => {
    await redis.kill()
    const frontend = await registry({ backends: [backend('web-1')] })
    assert.deepEqual(ids(frontend), ['web-1'])
    assert.equal(frontend.status().connected, false)
    const agent = await registry({ watch: false })
    agent.announce(backend('media-1'))
    await redis.run()
    await until('the agent', () => ids(frontend).includes('media-1'))
  })

  test('with Redis away the queue is bounded: the oldest notes go and are counted', async () => {
    await redis.kill()
    const frontend = await registry()
    const flows = Array.from({ length: 100_050 }, (_, index) => flow(index))
    frontend.putFlows(flows)
    assert.deepEqual(frontend.status(), {
      kind: 'redis',
      connected: false,
      queuedWrites: 100_000,
      droppedWrites: 50,
    })
    assert.equal(
      await frontend.findFlow(flow(100_049).key).then((found) => found?.handoffId),
      flow(100_049).handoffId,
    )
    await assert.rejects(frontend.findFlow(flow(0).key))
    await redis.run()
    await until('the queue', () => frontend.status().queuedWrites === 0, 20_000)
    const admin = new Redis(redis.port)
    assert.ok((await admin.dbsize()) > 4000, 'all shards in use')
    await admin.flushall()
    admin.disconnect()
  })

  test('a refused password is one line, and closing does not hang on it', async () => {
    const secured = await RedisServer.start(['--requirepass', 'right'])
    try {
      const lines = new Lines()
      const frontend = redisRegistry(`redis://:wrong@127.0.0.1:${secured.port}`, { logger: lines })
      await frontend.start()
      assert.equal(frontend.status().connected, false)
      assert.ok(lines.lines.length <= 2, lines.lines.join('\n'))
      await frontend.close()
      const welcome = redisRegistry(`redis://:right@127.0.0.1:${secured.port}`)
      await welcome.start()
      assert.equal(welcome.status().connected, true)
      await welcome.close()
    } finally {
      await secured.dispose()
    }
  })
})
