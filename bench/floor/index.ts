import { availableParallelism } from 'node:os'
import { standardTopology } from '../../src/lab/index.js'
import { compiled } from '../compile.js'
import { machine } from '../machine.js'
import type { Bench, Outcome } from '../report.js'
import { plot, tables } from './show.js'
import { type Times, timesOf } from './steps.js'

/** The product's own C for one connection, without its N-API part. */
const native = ['freeze', 'dump', 'lock', 'restore'].map((part) => `src/kernel/native/repair_${part}.c`)
export const floorProgram = (): string => compiled('floor/floor.c', native)

/** One connection at a time, and as many as a loaded frontend finds at one wake-up. */
const batches = [1, 16] as const

export const floor: Bench = {
  name: 'floor',
  summary: 'the system calls of a handoff and of a proxied connection by themselves, in C',
  async run({ quick, say }) {
    const at = machine()
    const rounds = quick ? 100 : 1000
    const net = standardTopology({ prefix: 'btfloor', frontends: 1, backends: 1 })
    try {
      const [frontend, backend] = [net.frontends[0]!, net.backends[0]!]
      const hosts = [net.client.path, frontend.path, backend.path]
      // Packets are received on the first core: here are the calls alone, and those that send as far as the cable.
      const last = String(availableParallelism() - 1)
      const measured: Times[] = []
      for (const batch of batches) {
        say(`${rounds} rounds of ${batch}`)
        const count = Math.min(rounds, batch === 1 ? rounds : Math.floor(rounds / 2))
        const args = [...hosts, net.vip4, backend.ipv4, String(batch), String(count)]
        const pinned = ['--cpu-list', last, floorProgram(), ...args]
        const output = await net.router.run('taskset', pinned, { timeoutMs: 120_000 })
        measured.push(timesOf(batch, JSON.parse(output) as Record<string, number[]>))
      }
      const outcome: Outcome = {
        report: { bench: 'floor', goals: [], data: { machine: at, rounds, measured } },
        text: tables(measured),
        plot: plot(measured),
      }
      return outcome
    } finally {
      await net.dispose()
    }
  },
}
