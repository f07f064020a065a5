import { readFileSync } from 'node:fs'
import { runNow } from '../src/lab/command.js'
import type { Host } from '../src/lab/index.js'
import { threadsNs } from './cpu.js'
import type { Field } from './peers/field.js'
import type { Peer } from './peers/peer.js'
import { Softirq } from './softirq/index.js'

/** What a peer has used of the core, in ns. */
export interface CoreUse {
  /** Its processes: their own code and system calls, and the packets that came while they ran. */
  readonly processNs: number
  /** Packets and timers (softirq) inside and outside of them. */
  readonly insideNs: number
  readonly outsideNs: number
}

/** `0-3,8` → [0, 1, 2, 3, 8] */
export function cpuList(text: string): number[] {
  return text
    .trim()
    .split(',')
    .flatMap((part) => {
      const [first = 0, last = first] = part.split('-').map(Number)
      return Array.from({ length: last - first + 1 }, (_, index) => first + index)
    })
}

const pin = (pid: number, cpus: readonly number[]): void => {
  runNow('taskset', ['--all-tasks', '--cpu-list', '--pid', cpus.join(','), String(pid)])
}

/** Packets for a host's eth0 are received by these cores alone. */
function receiveOn({ path }: Host, cpu: number): void {
  const write = `mount -t sysfs none /sys && for f in /sys/class/net/eth0/queues/rx-*/rps_cpus; do echo ${(1n << BigInt(cpu)).toString(16)} >"$f"; done`
  runNow('nsenter', [`--net=${path}`, 'unshare', '--mount', 'sh', '-c', write])
}

/**
 * A core that belongs to whoever stands between client and backends, whole: its processes run there, the packets that
 * its host receives are received there, and all else of the lab is elsewhere. So what packets cost its host, to receive and
 * to steer, can be told from what they cost the others.
 */
export class OwnCore {
  readonly cpu: number
  readonly #others: readonly number[]
  readonly #softirq = new Softirq()

  private constructor(cpu: number, others: readonly number[]) {
    this.cpu = cpu
    this.#others = others
  }

  /** Starts every peer of the field anew, on that core. @throws Error on a machine with one core */
  static async give(field: Field): Promise<OwnCore> {
    const allowed = /^Cpus_allowed_list:\s*(.*)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? ''
    const cpus = cpuList(allowed)
    const cpu = cpus.at(-1)
    if (cpu === undefined || cpus.length < 2)
      throw new Error('the frontend needs a core of its own: two cores at least')
    const core = new OwnCore(cpu, cpus.slice(0, -1))
    const between = new Map(
      field.peers.flatMap((peer) => (peer.host === undefined ? [] : [[peer.host, peer] as const])),
    )
    try {
      // What is started inherits it.
      pin(process.pid, [cpu])
      for (const [host, peer] of between) {
        await peer.stop()
        await peer.start()
        receiveOn(host, cpu)
      }
    } finally {
      pin(process.pid, core.#others)
    }
    for (const host of field.net.backends) for (const { pid } of host.processes) pin(pid, core.#others)
    return core
  }

  /** What the peer uses of its core while `act` lasts. What others do there is not in it, but for their packets. */
  async use<T>(peer: Peer, act: () => Promise<T>): Promise<{ readonly result: T; readonly use: CoreUse }> {
    const pids = peer.pids()
    this.#softirq.own(pids)
    const read = async () => ({ processNs: threadsNs(pids), ...(await this.#softirq.read())[this.cpu]! })
    const before = await read()
    const result = await act()
    const after = await read()
    const use = {
      processNs: after.processNs - before.processNs,
      insideNs: after.inside - before.inside,
      outsideNs: after.outside - before.outside,
    }
    return { result, use }
  }

  close(): void {
    this.#softirq.close()
  }
}
