import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { Deployment, type Host } from '../../src/lab/index.js'
import { statusOf, sum } from './support.js'

const app = fileURLToPath(new URL('fixtures/streams.js', import.meta.url))
const crowd = fileURLToPath(new URL('fixtures/crowd.js', import.meta.url))
/** Connections of each kind, most of them idle. */
const sizes = {
  inline: { idle: 8000, active: 600 },
  http: { idle: 500, active: 200 },
  tcp: { idle: 500, active: 200 },
}
const kinds = Object.keys(sizes) as (keyof typeof sizes)[]
const total = kinds.reduce((all, kind) => all + sizes[kind].idle + sizes[kind].active, 0)
const addresses = ['192.0.2.10', '192.0.2.11', '192.0.2.12', '192.0.2.13']

let baton: Deployment
const hostOf = (kind: keyof typeof sizes) => baton.net.backends[kinds.indexOf(kind)] as Host

before(async () => {
  baton = new Deployment({ prefix: 'btcrw', frontends: 1, backends: kinds.length })
  for (const address of addresses.slice(1)) baton.net.client.addAddress('eth0', `${address}/24`)
  await Promise.all(kinds.map(startBackend))
  await startFrontend()
})
after(() => baton?.dispose())

async function startBackend(kind: keyof typeof sizes): Promise<void> {
  const host = hostOf(kind)
  if (kind === 'inline') {
    const file = baton.writeSettings('inline.json', baton.agentSettings(host, kind, [kind]))
    await baton.start(kind, host, process.execPath, [app, '--inline', file]).waitFor({ port: 7400 })
    return
  }
  const address = `${host.ipv4}:8080`
  await baton.start(`app-${kind}`, host, process.execPath, [app, '--listen', address]).waitFor({ port: 8080 })
  await baton.startAgent(host, kind, [kind], { deliver: { kind, address } })
}

const startFrontend = () =>
  baton.startFrontend(baton.net.frontends[0] as Host, 'front-1', {
    routes: kinds.map((kind) => ({ match: { path: { prefix: `/${kind}/` } }, pool: kind })),
    pools: Object.fromEntries(
      kinds.map((kind) => [kind, { backends: [{ id: kind, agent: `${hostOf(kind).ipv4}:7400` }] }]),
    ),
  })

interface Told {
  readonly pongs?: number
  readonly open: number
  readonly lost: number
  readonly echoes: number
}

/** The clients of one kind. */
class Crowd {
  readonly kind: keyof typeof sizes
  readonly #name: string

  constructor(kind: keyof typeof sizes) {
    this.kind = kind
    this.#name = `crowd-${kind}`
    const { idle, active } = sizes[kind]
    const args = [crowd, baton.net.vip4, '80', `${idle}`, `${active}`, `/${kind}/ws`, ...addresses]
    baton.start(this.#name, baton.net.client, process.execPath, args)
  }

  async #told(pattern: RegExp): Promise<Told> {
    const match = await baton.process(this.#name).waitFor({ output: pattern, timeoutMs: 120_000 })
    return JSON.parse(match?.[0] ?? '') as Told
  }

  opened(): Promise<Told> {
    return this.#told(/^\{"opened":true.*\}$/m)
  }

  /** Pings every one. @param round how many times that makes */
  ping(round: number): Promise<Told> {
    baton.process(this.#name).kill('SIGUSR2')
    return this.#told(new RegExp(`^\\{"round":${round},.*\\}$`, 'm'))
  }

  close(): Promise<Told> {
    baton.process(this.#name).kill('SIGTERM')
    return this.#told(/^\{"closed":true.*\}$/m)
  }
}

test(`${total} WebSockets, most of them idle, live through the death of the frontend`, async (t) => {
  const crowds = kinds.map((kind) => new Crowd(kind))
  for (const one of crowds) {
    const { idle, active } = sizes[one.kind]
    assert.equal((await one.opened()).open, idle + active)
  }
  const { handoffs, relays } = await statusOf(baton)
  assert.equal(handoffs.adopted, total)
  assert.equal(sum(relays), 0)
  const resident = (name: string) =>
    /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${baton.process(name).pid}/status`, 'utf8'))?.[1]
  t.diagnostic(
    `the frontend holds ${resident('front-1')} kB, the inline application ${resident('inline')} kB`,
  )
  const resets = baton.net.client.snmp()['Tcp.EstabResets'] ?? 0

  const front = baton.process('front-1')
  front.kill('SIGKILL')
  await front.exited
  const echoes = await everyoneAnswers(crowds, 1)

  await startFrontend()
  const later = await everyoneAnswers(crowds, 2)
  assert.equal(baton.net.client.snmp()['Tcp.EstabResets'] ?? 0, resets)
  for (const [at, kind] of kinds.entries()) {
    // The active ones went on talking.
    assert.ok((later[at] ?? 0) > (echoes[at] ?? 0), kind)
  }

  for (const one of crowds) assert.equal((await one.close()).lost, 0)
  await untilLogged()
})

/** @returns the echoes that each crowd has heard by then */
async function everyoneAnswers(crowds: readonly Crowd[], round: number): Promise<number[]> {
  const echoes: number[] = []
  for (const one of crowds) {
    const { idle, active } = sizes[one.kind]
    const told = await one.ping(round)
    assert.deepEqual([told.pongs, told.open, told.lost], [idle + active, idle + active, 0], one.kind)
    echoes.push(told.echoes)
  }
  return echoes
}

/** A line for each connection, written by the frontend that did not hand it over. */
async function untilLogged(): Promise<void> {
  const file = baton.file('front-1.access.log')
  const lines = () =>
    readFileSync(file, 'utf8')
      .split('\n')
      .filter((line) => line.includes('"how":"handoff"')).length
  for (let round = 0; round < 300 && lines() < total; round++) await sleep(100)
  assert.equal(lines(), total)
}
