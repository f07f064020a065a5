import { giveClientAddresses } from '../client/index.js'
import { HostCpu } from '../host-cpu/index.js'
import { machine } from '../machine.js'
import { Field } from '../peers/field.js'
import type { PeerName } from '../peers/peer.js'
import { atLeast, type Bench, type BenchOptions, type Goal, type Outcome } from '../report.js'
import { short } from '../statistics.js'
import { measurePeer, type Pace } from './measure.js'
import { type Figures, figuresOf, type Sample } from './results.js'
import { plot, tables } from './show.js'

interface Plan extends Pace {
  readonly rounds: number
}

const full: Plan = { rounds: 7, seconds: 1.5, connections: 64 }
const quick: Plan = { rounds: 2, seconds: 1, connections: 64 }
const peers: readonly PeerName[] = [
  'haproxy',
  'nginx',
  'baton-adopt',
  'baton-inline',
  'http-proxy',
  'fastify',
]

export const handoffs: Bench = {
  name: 'handoffs',
  summary: 'a connection for each 1 KB answer: CPU of the frontend, against the proxies',
  async run(options) {
    const plan = options.quick ? quick : full
    const at = machine()
    const field = new Field({ prefix: 'bthandoffs', peers })
    try {
      const rounds = await measure(field, plan, options)
      const figures = figuresOf(rounds, peers)
      const goals = judge(figures)
      const titles = Object.fromEntries(field.peers.map(({ name, title }) => [name, title]))
      const outcome: Outcome = {
        report: {
          bench: 'handoffs',
          goals,
          data: { machine: at, versions: field.versions, plan, figures, rounds },
        },
        text: tables(figures, goals, titles),
        plot: plot(figures, titles),
      }
      return outcome
    } finally {
      await field.dispose()
    }
  },
}

async function measure(field: Field, plan: Plan, { say }: BenchOptions): Promise<Sample[][]> {
  say('starting: Baton and its peers, each on a host of its own')
  await field.startAll()
  const from = giveClientAddresses(field.net.client)
  const cpu = await HostCpu.start()
  const rounds: Sample[][] = []
  try {
    // The first round is the compiler's.
    for (let round = 0; round <= plan.rounds; round++) {
      const samples: Sample[] = []
      for (const peer of field.peers) samples.push(await measurePeer(field, cpu, peer, plan, from))
      const costs = samples.map(({ peer, hostUs }) => `${peer} ${short(hostUs)}`)
      const which = round === 0 ? 'warm-up' : `round ${round} of ${plan.rounds}`
      say(`${which}: µs a connection: ${costs.join(' · ')}`)
      if (round > 0) rounds.push(samples)
    }
  } finally {
    await cpu.close()
  }
  return rounds
}

function judge(figures: readonly Figures[]): Goal[] {
  return figures
    .filter(({ peer }) => peer.startsWith('baton'))
    .map(({ peer, toHaproxy }) =>
      atLeast(`handoffs a core-second, ${peer}, to HAProxy's connections`, toHaproxy.median, '×', 1),
    )
}
