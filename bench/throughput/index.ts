import type { Host } from '../../src/lab/index.js'
import { load } from '../downloads/load.js'
import { machine, machineLine } from '../machine.js'
import { Field } from '../peers/field.js'
import type { Peer, PeerName } from '../peers/peer.js'
import { versions } from '../peers/versions.js'
import type { Bench, BenchOptions, Outcome } from '../report.js'
import { judge, type Measurement } from './results.js'
import { plot, tables } from './show.js'

const QUEUE_MS = 50
/** A busy machine serves the buckets late by more than the few ms of a network card; the rate must not suffer by that. */
const BURST_MS = 25

interface Plan {
  readonly rounds: number
  readonly backends: readonly number[]
  readonly sizes: readonly number[]
  readonly linkMbit: number
  readonly warmUpMs: number
  readonly milliseconds: number
  readonly connectionsPerBackend: number
}

const full: Plan = {
  rounds: 3,
  backends: [1, 2, 4],
  sizes: [4 * 2 ** 20, 64 * 2 ** 20],
  linkMbit: 500,
  warmUpMs: 600,
  milliseconds: 1100,
  connectionsPerBackend: 8,
}
const quick: Plan = { ...full, rounds: 1, sizes: [4 * 2 ** 20], milliseconds: 1000 }

const peers: readonly PeerName[] = [
  'direct',
  'baton-adopt',
  'haproxy-splice',
  'haproxy',
  'nginx',
  'fastify',
  'http-proxy',
]

export const throughput: Bench = {
  name: 'throughput',
  summary: 'every link capped alike: how much 1, 2 and 4 backends deliver together',
  async run(options) {
    const plan = options.quick ? quick : full
    const at = machine()
    const measured: Measurement[] = []
    const titles = new Map<PeerName, string>()
    for (const backends of plan.backends) measured.push(...(await stage(plan, backends, titles, options)))
    const goals = judge(measured, plan.linkMbit)
    const outcome: Outcome = {
      report: {
        bench: 'throughput',
        goals,
        data: { machine: at, plan, peers: Object.fromEntries(titles), measured },
      },
      text: `${machineLine(at, versions())}\n\n${tables(measured, goals, titles, plan.linkMbit)}`,
      plot: plot(measured, titles, plan.linkMbit),
    }
    return outcome
  },
}

/** Everything with that many backends, in a lab of its own. */
async function stage(
  plan: Plan,
  backends: number,
  titles: Map<PeerName, string>,
  { say }: BenchOptions,
): Promise<Measurement[]> {
  const field = new Field({ prefix: 'btthrough', peers, backends, objects: plan.sizes })
  try {
    say(`${backends} backends: starting ${peers.length} peers`)
    await field.startAll()
    for (const { name, title } of field.peers) titles.set(name, title)
    capLinks(field, plan.linkMbit)
    const measured: Measurement[] = []
    for (let round = 1; round <= plan.rounds; round++) {
      for (const bytes of plan.sizes) {
        for (const peer of field.peers) measured.push(await one(field, peer, plan, backends, bytes))
      }
      say(`${backends} backends: round ${round} of ${plan.rounds}`)
    }
    return measured
  } finally {
    await field.dispose()
  }
}

/** The hosts' links alike; the client's is as wide as all backends' together, and as much again. */
function capLinks({ net }: Field, linkMbit: number): void {
  const cap = (host: Host, megabits: number) => net.link(host).cap(megabits, QUEUE_MS, BURST_MS)
  for (const host of [...net.frontends, ...net.backends]) cap(host, linkMbit)
  cap(net.client, linkMbit * net.backends.length * 2)
}

async function one(
  field: Field,
  { name, targets }: Peer,
  { warmUpMs, milliseconds, connectionsPerBackend }: Plan,
  backends: number,
  bytes: number,
): Promise<Measurement> {
  const connections = connectionsPerBackend * backends
  const got = await load(field.net.client, { targets, bytes, connections, warmUpMs, milliseconds })
  return {
    peer: name,
    backends,
    bytes,
    gbitPerSecond: (got.bytes * 8) / got.seconds / 1e9,
    answers: got.answers,
  }
}
