import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { standardAddresses } from '../../src/lab/index.js'
import { nginx, writeNginxConf } from './servers/nginx.js'
import type { Server } from './servers/server.js'
import { type Served, ServerStage } from './servers/stage.js'

const WORKERS = 4
/** Far more than come while nginx changes: the load ends with that. */
const LOAD = { requests: 50_000, atOnce: 4 }
const RELOADS = 3

/** As a service has it: in the background, a listening socket for each worker and family, accepted with the request. */
const service: Server = {
  ...nginx,
  // A new binary is executed by the same path.
  needs: ['/usr/sbin/nginx'],
  prepare: (place) => [
    '/usr/sbin/nginx',
    '-c',
    writeNginxConf(place, { listen: 'reuseport deferred', workers: WORKERS, daemon: true }),
  ],
}
let stage: ServerStage
let small: Served
let folder: string

before(async () => {
  stage = new ServerStage('btnginx', [service])
  folder = stage.place('nginx').folder
  small = stage.serve('small.bin', 1000)
  await stage.startAll()
})
after(() => stage?.dispose())

/** 0 while there is no such file: a new binary's master moves the old one's away before it writes its own. */
function pidIn(name: string): number {
  try {
    return Number(readFileSync(join(folder, name), 'utf8'))
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return 0
    throw error
  }
}

function childrenOf(pid: number): number[] {
  const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim()
  return text === '' ? [] : text.split(' ').map(Number)
}

interface LogLine {
  readonly address: string
  readonly worker: number
}

function accessLog(): LogLine[] {
  return readFileSync(join(folder, 'access.log'), 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => line.split(' '))
    .map(([address = '', pid]) => ({ address, worker: Number(pid) }))
}

const workersSeen = () => new Set(accessLog().map(({ worker }) => worker))

/** A load over IPv4 and one over IPv6 for as long as `act` takes; every single request must go well. */
async function underLoad(act: () => Promise<void>): Promise<void> {
  let right = 0
  const seen = await stage.counted(async () => {
    const loads = [false, true].map((ipv6) => stage.startLoad('nginx', small, { ...LOAD, ipv6 }))
    const finish = await Promise.all(loads)
    const [acted] = await Promise.allSettled([act()])
    const results = await Promise.all(finish.map((end) => end()))
    if (acted.status === 'rejected') throw acted.reason
    const wrong = results.map((result) => result.wrong)
    assert.deepEqual(wrong, [{}, {}])
    right = results.reduce((total, result) => total + result.right, 0)
  })
  assert.deepEqual(seen, { adopted: right, refused: [], relayed: 0 })
}

async function until(what: string, holds: () => boolean): Promise<void> {
  for (let round = 0; round < 600; round++) {
    if (holds()) return
    await sleep(50)
  }
  assert.fail(`within 30 s: ${what}`)
}

test("each worker has its own share of the connections, and logs the client's own addresses", async () => {
  const requests = 200
  for (const ipv6 of [false, true]) {
    assert.deepEqual(await stage.load('nginx', small, { requests, atOnce: 8, ipv6 }), {
      right: requests,
      wrong: {},
    })
  }
  const workers = childrenOf(pidIn('nginx.pid'))
  assert.equal(workers.length, WORKERS)
  assert.deepEqual([...workersSeen()].sort(), workers.sort())
  const { ipv4, ipv6 } = standardAddresses.client
  const lines = accessLog()
  assert.equal(lines.length, 2 * requests)
  for (const address of [ipv4, ipv6]) {
    assert.equal(lines.filter((line) => line.address === address).length, requests)
  }
})

test(`${RELOADS} reloads under load: every request is answered, by old workers and by new ones`, async () => {
  const master = pidIn('nginx.pid')
  await underLoad(async () => {
    for (let reload = 0; reload < RELOADS; reload++) {
      const old = childrenOf(master)
      await stage.host('nginx').run('nginx', ['-c', join(folder, 'nginx.conf'), '-s', 'reload'])
      await until('old workers are gone, new ones are there', () => {
        const now = childrenOf(master)
        return now.length === WORKERS && !now.some((pid) => old.includes(pid))
      })
      await until('a new worker has answered', () => {
        const seen = workersSeen()
        return childrenOf(master).some((pid) => seen.has(pid))
      })
    }
  })
})

test('a new binary takes over under load: every request is answered', async () => {
  const old = pidIn('nginx.pid')
  await underLoad(async () => {
    process.kill(old, 'SIGUSR2')
    await until('the new master is there', () => ![0, old].includes(pidIn('nginx.pid')))
    const master = pidIn('nginx.pid')
    await until('so are its workers', () => childrenOf(master).length === WORKERS)
    process.kill(old, 'SIGWINCH')
    await until(
      'the old workers are gone',
      () => childrenOf(old).filter((pid) => pid !== master).length === 0,
    )
    process.kill(old, 'SIGQUIT')
    await until('the old master is gone', () => !existsSync(join(folder, 'nginx.pid.oldbin')))
    await until('the new workers have answered', () => {
      const seen = workersSeen()
      return childrenOf(master).every((pid) => seen.has(pid))
    })
  })
})
