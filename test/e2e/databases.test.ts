import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Deployment, type Host } from '../../src/lab/index.js'
import { startPostgres } from './fixtures/postgres.js'
import { statusOf } from './support.js'

/** Listeners of the VIP: Redis and PostgreSQL handed over, and relayed at the next port. */
const REDIS = 6379
const POSTGRES = 5432
const relayed = (port: number) => port + 1

let baton: Deployment
let frontend: Host
let one: Host
let two: Host
let removePostgres: (() => void) | undefined

before(async () => {
  baton = new Deployment({ prefix: 'btdb', frontends: 1, backends: 2, redis: false })
  frontend = baton.net.frontends[0]!
  one = baton.net.backends[0]!
  two = baton.net.backends[1]!
  const args = ['--bind', one.ipv4, '--protected-mode', 'no', '--save', '', '--dir', baton.directory]
  const redis = baton.start('redis', one, 'redis-server', args)
  removePostgres = await startPostgres(baton, two)
  await redis.waitFor({ port: REDIS })
  await Promise.all([
    baton.startAgent(one, 'redis-1', ['redis'], {
      deliver: { kind: 'tcp', address: `${one.ipv4}:${REDIS}` },
    }),
    baton.startAgent(two, 'sql-1', ['sql'], { deliver: { kind: 'tcp', address: `${two.ipv4}:${POSTGRES}` } }),
  ])
  await startFrontend()
})
after(async () => {
  await baton?.dispose()
  removePostgres?.()
})

async function startFrontend(): Promise<void> {
  const { vip4, vip6 } = baton.net
  const listeners = [
    ['redis', REDIS],
    ['redisRelayed', relayed(REDIS)],
    ['sql', POSTGRES],
    ['sqlRelayed', relayed(POSTGRES)],
  ] as const
  const backend = (id: string, host: Host, port: number) => ({
    ...{ id, agent: `${host.ipv4}:7400`, address: `${host.ipv4}:${port}` },
  })
  const redis = [backend('redis-1', one, REDIS)]
  const sql = [backend('sql-1', two, POSTGRES)]
  await baton.startFrontend(frontend, 'front-1', {
    listeners: [
      { name: 'web', address: `${vip4}:80` },
      ...listeners.flatMap(([name, port]) => [
        { name, address: `${vip4}:${port}`, protocol: 'tcp' },
        { name: `${name}6`, address: `[${vip6}]:${port}`, protocol: 'tcp' },
      ]),
    ],
    routes: [
      { match: {}, pool: 'web' },
      ...listeners.map(([name]) => ({ match: { listeners: [name, `${name}6`] }, pool: name })),
    ],
    pools: {
      web: { handoff: 'never', backends: [{ id: 'web-1', address: `${one.ipv4}:8080` }] },
      redis: { backends: redis },
      redisRelayed: { handoff: 'never', backends: redis },
      sql: { backends: sql },
      sqlRelayed: { handoff: 'never', backends: sql },
    },
  })
}

/** Handoffs and relays that an act has led to. */
async function counted<T>(act: () => Promise<T>) {
  const earlier = await statusOf(baton)
  const result = await act()
  const now = await statusOf(baton)
  const relays = (status: typeof now) => Object.values(status.relays).reduce((sum, count) => sum + count, 0)
  return {
    result,
    adopted: now.handoffs.adopted - earlier.handoffs.adopted,
    relayed: relays(now) - relays(earlier),
  }
}

async function killFrontend(): Promise<void> {
  const process = baton.process('front-1')
  process.kill('SIGKILL')
  await process.exited
}

describe('Redis behind Baton', () => {
  const cli = (port: number, words: readonly string[], vip = baton.net.vip4) =>
    baton.net.client.run('redis-cli', ['-h', vip, '-p', String(port), ...words])

  test('redis-cli, by handoff and by relay, in both families', async () => {
    for (const vip of [baton.net.vip4, baton.net.vip6]) {
      const handed = await counted(() => cli(REDIS, ['SET', 'a', 'by handoff'], vip))
      assert.deepEqual([handed.result, handed.adopted, handed.relayed], ['OK\n', 1, 0])
      const passed = await counted(() => cli(relayed(REDIS), ['GET', 'a'], vip))
      assert.deepEqual([passed.result, passed.adopted, passed.relayed], ['by handoff\n', 0, 1])
    }
  })

  test('a value of 8 MB goes in and comes back, whatever the way', async () => {
    for (const port of [REDIS, relayed(REDIS)]) {
      const at = `redis-cli -h ${baton.net.vip4} -p ${port}`
      const script = `head -c 8000000 /dev/urandom > ${baton.file('value')}
${at} -x SET big < ${baton.file('value')}
${at} --raw GET big | head -c 8000000 | cmp - ${baton.file('value')} && echo same`
      assert.match(await baton.net.client.run('bash', ['-c', script]), /same\n$/)
    }
  })

  test('a pipelined load of 20 connections: every command is answered', async () => {
    const words = ['-h', baton.net.vip4, '-n', '20000', '-c', '20', '-P', '16', '-t', 'incr', '-q']
    await cli(REDIS, ['DEL', 'counter:__rand_int__'])
    const seen = await counted(() => baton.net.client.run('redis-benchmark', words, { timeoutMs: 60_000 }))
    assert.match(seen.result, /INCR: [\d.]+ requests per second/)
    assert.equal(seen.relayed, 0)
    // One more asks for the server's configuration first.
    assert.ok(seen.adopted >= 20, `${seen.adopted} handed over`)
    assert.equal(await cli(REDIS, ['GET', 'counter:__rand_int__']), '20000\n')
  })

  test('a subscriber outlives kill -9 of the frontend', async () => {
    const args = ['-h', baton.net.vip4, 'SUBSCRIBE', 'news']
    const subscriber = baton.net.client.spawn('stdbuf', ['-oL', 'redis-cli', ...args])
    await subscriber.waitFor({ output: /subscribe\nnews/ })
    await killFrontend()
    const publish = (word: string) => one.run('redis-cli', ['-h', one.ipv4, 'PUBLISH', 'news', word])
    assert.equal(await publish('without-a-frontend'), '1\n')
    await subscriber.waitFor({ output: /message\nnews\nwithout-a-frontend/ })
    await startFrontend()
    await publish('with-the-next-one')
    await subscriber.waitFor({ output: /message\nnews\nwith-the-next-one/ })
    subscriber.kill('SIGTERM')
    await subscriber.exited
  })
})

describe('PostgreSQL behind Baton', () => {
  const psql = (port: number, sql: string, vip = baton.net.vip4) =>
    baton.net.client.run('psql', ['-XAtq', '-h', vip, '-p', String(port), '-U', 'postgres', '-c', sql], {
      timeoutMs: 60_000,
    })

  test('psql, by handoff and by relay, in both families; the server sees who dialled it', async () => {
    const who = 'select host(client_addr) from pg_stat_activity where pid = pg_backend_pid()'
    for (const vip of [baton.net.vip4, baton.net.vip6]) {
      const handed = await counted(() => psql(POSTGRES, who, vip))
      assert.deepEqual([handed.result, handed.adopted, handed.relayed], [`${two.ipv4}\n`, 1, 0])
      const passed = await counted(() => psql(relayed(POSTGRES), who, vip))
      assert.deepEqual([passed.result, passed.adopted, passed.relayed], [`${frontend.ipv4}\n`, 0, 1])
    }
  })

  test('a result of 20 MB arrives whole', async () => {
    const rows = `select repeat(md5(n::text), 625) from generate_series(1, 1000) n`
    const sum = `select md5(string_agg(line, E'\\n' order by n) || E'\\n') from (select n, repeat(md5(n::text), 625) line from generate_series(1, 1000) n) lines`
    const wanted = (await psql(POSTGRES, sum)).trim()
    for (const port of [POSTGRES, relayed(POSTGRES)]) {
      const script = `psql -XAtq -h ${baton.net.vip4} -p ${port} -U postgres -c "${rows}" | md5sum`
      assert.equal((await baton.net.client.run('bash', ['-c', script])).slice(0, 32), wanted)
    }
  })

  test('a running query is not cut by kill -9 of the frontend', async () => {
    const query = psql(POSTGRES, "select pg_sleep(3); select 'slept well'")
    await untilSleeping()
    await killFrontend()
    assert.equal(await query, '\nslept well\n')
    await startFrontend()
    assert.equal(await psql(POSTGRES, 'select 1'), '1\n')
  })

  async function untilSleeping(): Promise<void> {
    const sql =
      "select count(*) from pg_stat_activity where query like 'select pg_sleep%' and state = 'active'"
    for (let round = 0; round < 200; round++) {
      const args = ['-XAtq', '-h', two.ipv4, '-U', 'postgres', '-c', sql]
      if ((await two.run('psql', args)) === '1\n') return
      await sleep(20)
    }
    assert.fail('the query does not run within some seconds')
  }
})
