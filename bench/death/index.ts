import { setTimeout as sleep } from 'node:timers/promises'
import { pace } from '../downloads/pace.js'
import { machine, machineLine } from '../machine.js'
import { Field } from '../peers/field.js'
import type { Peer, PeerName } from '../peers/peer.js'
import type { Bench, Outcome } from '../report.js'
import { judge, type Measurement } from './results.js'
import { plot, tables } from './show.js'

interface Plan {
  readonly rounds: number
  readonly downloads: number
  readonly bytes: number
  readonly bytesPerTick: number
  readonly tickMs: number
  /** After every download has begun. */
  readonly killAfterMs: number
  readonly durationMs: number
}

const full: Plan = {
  rounds: 3,
  downloads: 1000,
  // Longer than it is looked at, and than a dead proxy's kernel goes on sending what it had in its buffers.
  bytes: 64 * 2 ** 20,
  bytesPerTick: 16_384,
  tickMs: 100,
  killAfterMs: 2000,
  durationMs: 14_000,
}
const quick: Plan = { ...full, rounds: 1, killAfterMs: 1000, durationMs: 12_000 }

/** Nothing is killed on the direct way: its stalls are the machine's and the clients' own. */
const peers: readonly PeerName[] = ['direct', 'baton-adopt', 'haproxy-splice', 'nginx']

export const death: Bench = {
  name: 'death',
  summary: 'kill -9 of what stands between, under 1,000 downloads: connections lost, longest stall',
  async run({ quick: isQuick, say }) {
    const plan = isQuick ? quick : full
    const at = machine()
    const field = new Field({ prefix: 'btdeath', peers, backends: 2, objects: [plan.bytes] })
    try {
      say(`starting ${peers.length} peers`)
      await field.startAll()
      const titles = new Map(field.peers.map(({ name, title }) => [name, title]))
      const measured: Measurement[] = []
      for (let round = 1; round <= plan.rounds; round++) {
        for (const peer of field.peers) measured.push(await one(field, peer, plan))
        say(`round ${round} of ${plan.rounds}`)
      }
      const goals = judge(measured)
      const outcome: Outcome = {
        report: {
          bench: 'death',
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

async function one(field: Field, peer: Peer, plan: Plan): Promise<Measurement> {
  const downloads = await pace(field.net.client, { targets: peer.targets, ...plan })
  await sleep(plan.killAfterMs)
  const killedAtMs = performance.now()
  await peer.kill()
  await peer.start()
  const awayMs = peer.host === undefined ? 0 : performance.now() - killedAtMs
  return { peer: peer.name, awayMs, ...(await downloads.ended()) }
}
