import assert from 'node:assert/strict'
import { after, afterEach, before, describe, test } from 'node:test'
import { Redis } from 'ioredis'
import type { Registry } from '../../src/registry/index.js'
import { FLOW_GENERATION_MS } from '../../src/registry/index.js'
import { RedisServer, until } from './redis-server.js'
import { flow, redisRegistry } from './support.js'

describe('flows in Redis', () => {
  let redis: RedisServer
  let admin: Redis
  const open: Registry[] = []
  const registry = async () => {
    const made = redisRegistry(redis.url)
    open.push(made)
    await made.start()
    return made
  }
  const settled = (one: Registry) => until('the queue', () => one.status().queuedWrites === 0)
  before(async () => {
    redis = await RedisServer.start()
    admin = new Redis(redis.port)
  })
  afterEach(async () => {
    await Promise.all(open.splice(0).map((one) => one.close()))
    await admin.flushall()
  })
  after(async () => {
    admin.disconnect()
    await redis.dispose()
  })

  test('another frontend finds who holds a connection, until it is over', async () => {
    const [one, other] = await Promise.all([registry(), registry()])
    const first = flow(1)
    one.putFlows([first, flow(2, { agentId: 'web-1', agentEpoch: 2 ** 53 - 1, handoffId: 2 ** 53 - 1 })])
    await until('the note', async () => (await other.findFlow(first.key)) !== undefined)
    assert.deepEqual(await other.findFlow(first.key), first)
    assert.equal((await other.findFlow(flow(2).key))?.agentEpoch, 2 ** 53 - 1)
    assert.equal(await other.findFlow(flow(3).key), undefined)
    one.removeFlows([first.key])
    await until('its end', async () => (await other.findFlow(first.key)) === undefined)
    assert.ok(await other.findFlow(flow(2).key))
  })

  test('a frontend finds its own note before Redis has it, and the last word counts', async () => {
    const one = await registry()
    const held = flow(5)
    one.putFlows([held])
    one.putFlows([{ ...held, agentId: 'media-2' }])
    assert.equal((await one.findFlow(held.key))?.agentId, 'media-2')
    one.removeFlows([held.key])
    assert.equal(await one.findFlow(held.key), undefined)
    await until('Redis to agree', async () => (await admin.dbsize()) === 0)
  })

  test('no note lives for ever: every hash has an expiry within two generations', async () => {
    const one = await registry()
    one.putFlows(Array.from({ length: 300 }, (_, index) => flow(index)))
    await until('all notes', async () => (await fields()) === 300)
    const keys = await admin.keys('baton:flows:*')
    assert.ok(keys.length > 100, 'spread over shards')
    for (const key of keys) {
      const left = await admin.pttl(key)
      assert.ok(
        left > FLOW_GENERATION_MS - 1000 && left <= 2 * FLOW_GENERATION_MS,
        `${key} expires in ${left} ms`,
      )
    }
  })

  test('a note of the generation before is found and removed', async () => {
    const one = await registry()
    const held = flow(9)
    one.putFlows([held])
    await until('the note', async () => (await fields()) === 1)
    const [key = ''] = await admin.keys('baton:flows:*')
    await admin.rename(
      key,
      key.replace(/\d+$/, (generation) => String(Number(generation) - 1)),
    )
    assert.deepEqual(await one.findFlow(held.key), held)
    one.removeFlows([held.key])
    await until('its end', async () => (await fields()) === 0)
  })

  test('live flows are written again from their source when Redis has lost them', async () => {
    const one = await registry()
    const live = Array.from({ length: 1500 }, (_, index) => flow(index))
    one.renewFlowsFrom(() => live)
    one.putFlows(live)
    await until('all notes', async () => (await fields()) === 1500)
    await admin.flushall()
    await admin.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
    await until('all notes again', async () => (await fields()) === 1500)
  })

  test('10,000 notes are written without one lost', async (t) => {
    const one = await registry()
    const since = performance.now()
    const cpu = process.cpuUsage()
    for (let start = 0; start < 10_000; start += 50) {
      one.putFlows(Array.from({ length: 50 }, (_, index) => flow(start + index)))
      if (start % 500 === 0) await new Promise(setImmediate)
    }
    await settled(one)
    await until('all notes', async () => (await fields()) === 10_000)
    const used = process.cpuUsage(cpu)
    t.diagnostic(
      `${((performance.now() - since) / 10).toFixed(1)} µs a note, ${((used.user + used.system) / 10_000).toFixed(1)} µs of CPU`,
    )
    assert.deepEqual(one.status(), { kind: 'redis', connected: true, queuedWrites: 0, droppedWrites: 0 })
  })

  test('notes that Redis refuses for good are counted as dropped', async () => {
    const one = await registry()
    const held = flow(11)
    one.putFlows([held])
    await until('the note', async () => (await fields()) === 1)
    const [key = ''] = await admin.keys('baton:flows:*')
    await admin.set(key, 'not a hash')
    one.putFlows([held])
    await until('the refusal', () => one.status().droppedWrites === 1)
    assert.equal(one.status().queuedWrites, 0)
    await assert.rejects(one.findFlow(held.key), { code: 'BATON_REGISTRY_UNAVAILABLE' })
  })

  async function fields(): Promise<number> {
    let count = 0
    const keys = await admin.keys('baton:flows:*')
    const pipeline = admin.pipeline()
    for (const key of keys) pipeline.hlen(key)
    for (const [, length] of (await pipeline.exec()) ?? []) count += Number(length)
    return count
  }
})
