import { setTimeout as sleep } from 'node:timers/promises'
import { Held } from '../downloads/hold.js'
import { machine, machineLine } from '../machine.js'
import { Field } from '../peers/field.js'
import type { Peer, PeerName } from '../peers/peer.js'
import type { Bench, BenchOptions, Outcome } from '../report.js'
import { MemoryGroup } from './memory.js'
import { judge, type Measurement } from './results.js'
import { plot, tables } from './show.js'

interface Plan {
  /** How many connections are held when memory is read, one after the other. */
  readonly steps: Readonly<Record<'baton' | 'proxy', readonly number[]>>
  readonly backends: number
  /** Of each backend's nginx: one may have as many files as everybody. */
  readonly workers: number
}

const full: Plan = {
  steps: { baton: [0, 25_000, 50_000, 100_000, 150_000, 200_000], proxy: [0, 2000, 4000, 6000] },
  backends: 4,
  workers: 4,
}
const quick: Plan = { ...full, steps: { baton: [0, 10_000, 20_000], proxy: [0, 1500, 3000] } }

const peers: readonly PeerName[] = ['baton-adopt', 'haproxy', 'nginx']

export const idle: Bench = {
  name: 'idle',
  summary: 'memory on the frontend for each established connection, to 200,000 of them',
  async run(options) {
    const plan = options.quick ? quick : full
    const at = machine()
    const field = new Field({
      prefix: 'btidle',
      peers,
      backends: plan.backends,
      workers: plan.workers,
    })
    try {
      options.say(`starting the backends`)
      await field.startBackends()
      const titles = new Map(field.peers.map(({ name, title }) => [name, title]))
      const measured: Measurement[] = []
      for (const peer of field.peers) measured.push(...(await one(field, peer, plan, options)))
      const goals = judge(measured)
      const outcome: Outcome = {
        report: {
          bench: 'idle',
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

/** One peer, started afresh in a control group of its own, with more and more connections. */
async function one(field: Field, peer: Peer, plan: Plan, { say }: BenchOptions): Promise<Measurement[]> {
  const group = new MemoryGroup(`${field.net.lab.name}-${peer.name}`)
  const held = new Held(field.net.client, peer.targets)
  const steps = plan.steps[peer.name.startsWith('baton') ? 'baton' : 'proxy']
  try {
    await group.during(() => peer.start())
    const measured: Measurement[] = []
    for (const connections of steps) {
      await held.add(connections - held.count)
      // What handing over left behind is collected, and the kernel's freed pages are counted.
      await sleep(2000)
      const { userBytes, kernelBytes } = group.read()
      measured.push({ peer: peer.name, connections, userBytes, kernelBytes, sockets: socketsOf(peer) })
    }
    const { asked, answered } = await held.sample()
    say(`${peer.title}: ${held.count} held, ${answered} of ${asked} asked again answered`)
    if (answered < asked) throw new Error(`${asked - answered} connections of ${peer.title} were dead`)
    return measured
  } finally {
    await held.close()
    await peer.stop()
    group.remove()
  }
}

/** TCP connections of the frontend's host, by its own count (/proc/net/snmp). */
function socketsOf({ host }: Peer): number {
  return host?.snmp()['Tcp.CurrEstab'] ?? 0
}
