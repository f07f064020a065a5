import { setTimeout as sleep } from 'node:timers/promises'
import { busySeconds } from '../cpu.js'
import { load } from '../downloads/load.js'
import { HostCpu, type Snapshot } from '../host-cpu/index.js'
import { machine, machineLine } from '../machine.js'
import { Field } from '../peers/field.js'
import type { Peer, PeerName } from '../peers/peer.js'
import type { Bench, BenchOptions, Outcome } from '../report.js'
import { type Measurement, type Spent, since } from './measurement.js'
import { judge } from './results.js'
import { plot, tables } from './show.js'

interface Plan {
  readonly rounds: number
  readonly sizes: readonly number[]
  readonly milliseconds: number
  readonly idleMs: number
  readonly warmUpMs: number
}

const KIB = 1024
const MIB = 1024 * KIB
const GIB = 1024 * MIB
const full: Plan = {
  rounds: 3,
  sizes: [KIB, 4 * KIB, 16 * KIB, 64 * KIB, 256 * KIB, MIB, 64 * MIB, GIB],
  milliseconds: 700,
  idleMs: 700,
  warmUpMs: 2000,
}
const quick: Plan = { ...full, rounds: 1, sizes: [KIB, 16 * KIB, 256 * KIB, 64 * MIB], milliseconds: 500 }

const peers: readonly PeerName[] = [
  'direct',
  'baton-adopt',
  'haproxy-splice',
  'haproxy',
  'nginx',
  'fastify',
  'http-proxy',
]

export const cpu: Bench = {
  name: 'cpu',
  summary: 'links uncapped: CPU per request and per GB, of the frontend and of everything, by size',
  async run(options) {
    const plan = options.quick ? quick : full
    const at = machine()
    const field = new Field({ prefix: 'btcpu', peers, objects: plan.sizes })
    try {
      options.say(`starting ${peers.length} peers`)
      await field.startAll()
      const measured = await measure(field, plan, options)
      const titles = new Map(field.peers.map(({ name, title }) => [name, title]))
      const goals = judge(measured)
      const outcome: Outcome = {
        report: {
          bench: 'cpu',
          goals,
          data: { machine: at, plan, peers: Object.fromEntries(titles), measured },
        },
        text: `${machineLine(at, field.versions)}\n\n${tables(measured, goals, titles)}`,
        plot: plot(measured, titles),
      }
      return outcome
    } finally {
      await field.dispose()
    }
  },
}

async function measure(field: Field, plan: Plan, { say }: BenchOptions): Promise<Measurement[]> {
  const cpu = await HostCpu.start()
  try {
    // The first seconds of a process are the compiler's.
    for (const peer of field.peers) await one(field, cpu, peer, KIB, plan.warmUpMs)
    const measured: Measurement[] = []
    for (let round = 1; round <= plan.rounds; round++) {
      for (const peer of field.peers) measured.push(await atRest(field, cpu, peer, plan.idleMs))
      for (const bytes of plan.sizes) {
        for (const peer of field.peers) measured.push(await one(field, cpu, peer, bytes, plan.milliseconds))
      }
      say(`round ${round} of ${plan.rounds}`)
    }
    return measured
  } finally {
    await cpu.close()
  }
}

/** Seconds of CPU by now, without the client's program, which tells by itself. */
function spent({ net }: Field, { host, backends }: Peer, now: Snapshot): Spent {
  return {
    frontend: host === undefined ? 0 : now.of(host),
    frontendPackets: host === undefined ? 0 : now.packetsOf(host),
    backends: backends.reduce((sum, backend) => sum + now.of(backend), 0),
    network: now.of(net.router),
    client: now.packetsOf(net.client),
    otherSoftirq: now.otherSoftirq,
    busy: busySeconds(),
  }
}

async function one(
  field: Field,
  cpu: HostCpu,
  peer: Peer,
  size: number,
  milliseconds: number,
): Promise<Measurement> {
  const { targets } = peer
  // Of large objects only a few fit into the time of many small ones.
  const [connections, times] = size >= GIB ? [2, 6] : size > MIB ? [4, 2] : [16, 1]
  const time = times * milliseconds
  const earlier = await cpu.read()
  const before = spent(field, peer, earlier)
  const got = await load(field.net.client, { targets, bytes: size, connections, milliseconds: time })
  // What the last packets cost comes after the client's end.
  await sleep(20)
  const now = await cpu.read()
  const parts = since(before, spent(field, peer, now))
  const interrupting = now.interrupting(got.pid) - earlier.interrupting(got.pid)
  const client = parts.client + got.cpuSeconds - interrupting
  return { peer: peer.name, size, load: got, spent: { ...parts, client } }
}

/** What runs when nobody asks for anything: timers, keepalives between Baton's parts, statistics. */
async function atRest(field: Field, cpu: HostCpu, peer: Peer, milliseconds: number): Promise<Measurement> {
  const before = spent(field, peer, await cpu.read())
  await sleep(milliseconds)
  const nothing = { pid: 0, bytes: 0, answers: 0, lost: 0, cpuSeconds: 0, seconds: milliseconds / 1000 }
  return {
    peer: peer.name,
    size: 0,
    load: nothing,
    spent: since(before, spent(field, peer, await cpu.read())),
  }
}
