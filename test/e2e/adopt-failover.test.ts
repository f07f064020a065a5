import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Deployment, type Host } from '../../src/lab/index.js'
import { appPort, connectFrom, type Status, sum } from './support.js'

let baton: Deployment
let one: Host
let two: Host
let media: Host
let sha256 = ''
const BIG = 60_000_000

before(async () => {
  baton = new Deployment({ prefix: 'btafo', frontends: 2, backends: 1, redis: true })
  ;[one, two] = baton.net.frontends as [Host, Host]
  ;[media] = baton.net.backends as [Host]
  const file = randomBytes(BIG)
  sha256 = createHash('sha256').update(file).digest('hex')
  const folder = baton.write('file.bin', file).replace(/\/[^/]*$/, '')
  const conf = baton.write(
    'nginx.conf',
    `user root; daemon off; pid ${folder}/nginx.pid; error_log stderr; events { worker_connections 512; }
     http { access_log off; sendfile on; server { listen ${appPort}; listen [::]:${appPort}; root ${folder}; } }`,
  )
  await Promise.all([
    baton.startRedis(),
    baton.start('nginx', media, 'nginx', ['-c', conf]).waitFor({ port: appPort }),
  ])
  await startAgent()
  await Promise.all([startFrontend(one, 'front-1'), startFrontend(two, 'front-2')])
})
after(() => baton?.dispose())

const startAgent = () =>
  baton.startAgent(media, 'media-1', ['media'], {
    deliver: { kind: 'adopt', address: `127.0.0.1:${appPort}`, session: 'connection' },
  })

const startFrontend = (host: Host, id: string) =>
  baton.startFrontend(host, id, {
    routes: [{ match: {}, pool: 'media' }],
    pools: { media: { backends: [{ id: 'media-1', agent: `${media.ipv4}:7400` }] } },
    steering: { interface: 'eth0', pinPath: baton.pinPath(id), lingerMs: 1000 },
  })

const status = async (host: Host) => (await baton.status(host)) as Status

/** @param meanwhile between two looks */
async function until(
  what: string,
  holds: (one: Status, two: Status) => boolean,
  meanwhile: () => Promise<void> = () => sleep(100),
): Promise<void> {
  const deadlineMs = performance.now() + 20_000
  while (performance.now() < deadlineMs) {
    if (holds(await status(one), await status(two))) return
    await meanwhile()
  }
  assert.fail(`within 20 s: ${what}; ${JSON.stringify([await status(one), await status(two)])}`)
}

const isUp = ({ backends }: Status) => backends.every(({ state }) => state === 'up')

/** Reads as far as it is told, so that it lasts as long as the test needs it. */
class SlowDownload {
  readonly socket = connectFrom(baton.net.client, baton.net.vip4)
  readonly #chunks: Buffer[] = []
  #bytes = 0

  constructor() {
    after(() => this.socket.destroy())
    this.socket.write('GET /file.bin HTTP/1.1\r\nHost: x\r\n\r\n')
  }

  get body(): Buffer {
    const all = Buffer.concat(this.#chunks)
    return all.subarray(all.indexOf('\r\n\r\n') + 4)
  }

  /** So many bytes more, or up to the end of the file. */
  async read(bytes: number): Promise<void> {
    const upTo = this.#bytes + bytes
    while (this.#bytes < upTo) {
      const chunk: Buffer | null = this.socket.read()
      if (chunk !== null) {
        this.#chunks.push(chunk)
        this.#bytes += chunk.length
      } else if (this.#bytes > BIG && this.body.length === BIG) return
      else
        await Promise.race([
          once(this.socket, 'readable'),
          sleep(20_000, undefined, { ref: false }).then(tooLate),
        ])
    }
  }
}

function tooLate(): never {
  throw new Error('nothing came for 20 s')
}

test('the VIP moves in mid-download, the agent is killed and comes back, and the VIP moves once more', async () => {
  await until('the agent is up', (first, second) => isUp(first) && isUp(second))
  const resets = () => baton.net.client.snmp()['Tcp.EstabResets'] ?? 0
  const before = resets()
  const download = new SlowDownload()
  await download.read(100_000)
  await until('it is handed over', ({ handoffs }) => handoffs.adopted === 1)
  baton.net.moveVip(two)
  const some = () => download.read(50_000)
  await until('the second frontend steers it', (_, { failovers }) => failovers.steered === 1, some)
  const agent = baton.process('media-1')
  agent.kill('SIGKILL')
  await agent.exited
  await startAgent()
  await until('the agent is back', (first, second) => isUp(first) && isUp(second))
  baton.net.moveVip(one)
  await until('the first frontend steers it again', ({ failovers }) => failovers.steered === 1, some)
  await download.read(BIG)
  assert.equal(createHash('sha256').update(download.body).digest('hex'), sha256)
  download.socket.destroy()
  assert.equal(resets(), before)
  await until('no flow is left in either table', (...both) => both.every(({ flows }) => sum(flows) === 0))
  const lines = (id: string) => readFileSync(baton.file(`${id}.access.log`), 'utf8')
  for (let round = 0; round < 50 && !lines('front-1').includes('/file.bin'); round++) await sleep(100)
  const line = lines('front-1')
    .split('\n')
    .find((text) => text.includes('/file.bin'))
  const { how, bytesOut, cause } = JSON.parse(line ?? '{}') as Record<string, unknown>
  assert.deepEqual([how, Number(bytesOut) > BIG, cause], ['handoff', true, 'client'])
  assert.equal(lines('front-2').includes('/file.bin'), false)
})
