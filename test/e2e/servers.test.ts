import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { after, before, test } from 'node:test'
import { standardAddresses } from '../../src/lab/index.js'
import { servers as all } from './servers/index.js'
import { missing } from './servers/server.js'
import { type Served, ServerStage } from './servers/stage.js'
import type { Status } from './support.js'

const CONNECTIONS = 300
const KEPT_ALIVE = 20
const MIB = 1 << 20
/** More than the kernels of client and server take together. */
const BIG_BYTES = 32 * MIB

const servers = all.filter((server) => missing(server) === undefined)
const names = servers.map(({ name }) => name)
let stage: ServerStage
let small: Served
let big: Served

before(async () => {
  stage = new ServerStage('btserv', servers)
  small = stage.serve('small.bin', 1000)
  big = stage.serve('big.bin', BIG_BYTES)
  await stage.startAll()
})
after(() => stage?.dispose())

const noneActive = ({ backends }: Status) => backends.every(({ active }) => active === 0)

for (const server of all) {
  const { name, backlog } = server
  const skip = missing(server) ?? false

  test(`${name}: ${CONNECTIONS} new connections are all adopted and all answered`, { skip }, async () => {
    const half = { requests: CONNECTIONS / 2, atOnce: Math.min(16, backlog) }
    const seen = await stage.counted(async () => {
      for (const ipv6 of [false, true]) {
        assert.deepEqual(await stage.load(name, small, { ...half, ipv6 }), {
          right: half.requests,
          wrong: {},
        })
      }
    })
    assert.deepEqual(seen, { adopted: CONNECTIONS, refused: [], relayed: 0 })
  })

  test(`${name}: ${KEPT_ALIVE} requests on one connection`, { skip }, async () => {
    const seen = await stage.counted(async () => {
      const paths = Array.from({ length: KEPT_ALIVE }, () => small.path)
      const args = ['-o', '/dev/null', '-w', '%{http_code} %{num_connects} %{size_download}\n']
      // -o is for one URL only
      const outputs = paths.slice(1).flatMap(() => ['-o', '/dev/null'])
      const lines = (await stage.curl(name, paths, { args: [...args, ...outputs] })).trim().split('\n')
      assert.deepEqual(lines, ['200 1 1000', ...Array(KEPT_ALIVE - 1).fill('200 0 1000')])
    })
    assert.deepEqual(seen, { adopted: 1, refused: [], relayed: 0 })
  })

  test(`${name}: a body that is on its way at the freeze arrives whole`, { skip }, async () => {
    const body = randomBytes(8 * MIB)
    const file = stage.write(`body-${name}`, body)
    const args = [
      '-H',
      'Expect:',
      '-H',
      'Content-Type: application/octet-stream',
      '--data-binary',
      `@${file}`,
    ]
    const seen = await stage.counted(async () => {
      const answer = await stage.curl(name, ['/digest'], { args })
      assert.equal(/[0-9a-f]{64}/.exec(answer)?.[0], createHash('sha256').update(body).digest('hex'))
    })
    assert.deepEqual(seen, { adopted: 1, refused: [], relayed: 0 })
  })

  test(`${name}: ${BIG_BYTES / MIB} MiB over IPv4 and IPv6, past the frontend`, { skip }, async () => {
    const before = stage.net.active.counters('eth0')
    const seen = await stage.counted(async () => {
      for (const ipv6 of [false, true]) assert.equal(await stage.download(name, big, { ipv6 }), big.sha256)
    })
    const after = stage.net.active.counters('eth0')
    assert.deepEqual(seen, { adopted: 2, refused: [], relayed: 0 })
    const crossed = after.txBytes - before.txBytes
    assert.ok(crossed < 4 * MIB, `${crossed} bytes crossed the frontend`)
  })

  test(`${name}: its own socket has the client's address`, { skip }, async () => {
    const { ipv4, ipv6 } = standardAddresses.client
    assert.equal((await stage.curl(name, ['/who'])).trim().replace('::ffff:', ''), ipv4)
    const long = (await stage.curl(name, ['/who'], { ipv6: true })).trim().replace(/%.*/, '')
    assert.equal(new URL(`http://[${long}]`).hostname, `[${ipv6}]`)
  })
}

/** A download from each server, each in its middle. */
async function holdAll(): Promise<() => Promise<string[]>> {
  const held: (() => Promise<string>)[] = []
  for (const name of names) held.push(await stage.hold(name, big))
  await stage.until('every download is adopted', ({ backends }) =>
    backends.every(({ active }) => active === 1),
  )
  return () => Promise.all(held.map((finish) => finish()))
}

async function kill(name: string): Promise<void> {
  const process = stage.process(name)
  assert.ok(process.kill('SIGKILL'))
  await process.exited
}

test('the frontend is killed in mid-download: every server goes on to the end', async () => {
  await stage.until('every connection is over', noneActive)
  const finish = await holdAll()
  await kill('front-1')
  assert.deepEqual(
    await finish(),
    names.map(() => big.sha256),
  )
  await stage.startTheFrontend()
  await stage.until('every connection is over', noneActive)
})

test('the agents are killed in mid-download: every server goes on, and their successors tell of the ends', async () => {
  const finish = await holdAll()
  await Promise.all(names.map(kill))
  assert.deepEqual(
    await finish(),
    names.map(() => big.sha256),
  )
  await Promise.all(names.map((name) => stage.startAdopting(name)))
  await stage.until('every connection is over', noneActive)
})
