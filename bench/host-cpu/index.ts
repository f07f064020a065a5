import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { statSync } from 'node:fs'
import { createInterface } from 'node:readline'
import type { Host } from '../../src/lab/index.js'
import { compiled } from '../compile.js'
import { threadsNs } from '../cpu.js'
import { descendants } from './processes.js'

/** Nanoseconds of softirq, as watch.c prints them. */
export interface Softirq {
  /** Of packets, by the inode of the network namespace. */
  readonly networks: Readonly<Record<string, number>>
  /** Of every kind, by the process that was interrupted. */
  readonly processes: Readonly<Record<string, number>>
}

const seconds = (nanoseconds: number | undefined): number => (nanoseconds ?? 0) / 1e9
const sum = (values: Iterable<number>): number => [...values].reduce((total, value) => total + value, 0)

/**
 * CPU time by host, packets included.
 *
 * This kernel counts softirq, in which packets are received, forwarded and answered, to whatever process it happens to
 * interrupt. So the CPU time of processes alone has work of others in it, and lacks work of its own. eBPF programs on the
 * kernel's tracepoints put that right (softirq.bpf.c):
 *
 *     CPU of a host = run time of its processes and their threads    (/proc/PID/task/TID/schedstat, nanoseconds)
 *                   − softirq of whatever kind that interrupted them
 *                   + softirq of packets that its interfaces received, or sent without having received one
 *
 * A received packet's share is all that its arrival sets off: the programs at the tc ingress, forwarding, TCP, the
 * acknowledgement, what TCP sends because of it, the wake-up of the process. TCP also sends by itself, from timers and
 * where it had deferred it. What is left belongs to the machine as a whole ({@link Snapshot.otherSoftirq}). The watching
 * itself is in it, two to three short programs a packet.
 */
export class HostCpu {
  readonly #watch: ChildProcess
  readonly #lines: AsyncIterator<string>

  private constructor(watch: ChildProcess, lines: AsyncIterator<string>) {
    this.#watch = watch
    this.#lines = lines
  }

  /** @throws Error when the kernel refuses the programs */
  static async start(): Promise<HostCpu> {
    const program = compiled('host-cpu/watch.c')
    const object = compiled('host-cpu/softirq.bpf.c')
    const watch = spawn('setpriv', ['--pdeathsig', 'KILL', program, object], {
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    const lines = createInterface({ input: watch.stdout })[Symbol.asyncIterator]()
    const cpu = new HostCpu(watch, lines)
    if ((await cpu.#line()) !== 'watching') throw new Error('softirq cannot be watched on this machine')
    return cpu
  }

  /** The next one; empty when the program has ended. */
  async #line(): Promise<string> {
    const { value, done } = await this.#lines.next()
    return done === true ? '' : value
  }

  async read(): Promise<Snapshot> {
    const answer = this.#line()
    this.#watch.stdin?.write('\n')
    return new Snapshot(JSON.parse(await answer) as Softirq)
  }

  async close(): Promise<void> {
    const exit = once(this.#watch, 'exit')
    this.#watch.stdin?.end()
    await exit
  }
}

/** What has been used by now. Read it at once: the processes go on. */
export class Snapshot {
  readonly #softirq: Softirq

  constructor(softirq: Softirq) {
    this.#softirq = softirq
  }

  /** Seconds of CPU of a host. */
  of(host: Host): number {
    const pids = [...host.processes].flatMap(({ pid }) => [pid, ...descendants(pid)])
    const interrupting = sum(pids.map((pid) => this.interrupting(pid)))
    return seconds(threadsNs(pids)) - interrupting + this.packetsOf(host)
  }

  /** Of that, what packets cost in softirq. */
  packetsOf(host: Host): number {
    return seconds(this.#softirq.networks[statSync(host.path).ino])
  }

  /** Softirq that ran in a process's time, whoever's it was. */
  interrupting(pid: number): number {
    return seconds(this.#softirq.processes[pid])
  }

  /** Of the whole machine: softirq without a packet. */
  get otherSoftirq(): number {
    const all = sum(Object.values(this.#softirq.processes))
    return seconds(all - sum(Object.values(this.#softirq.networks)))
  }
}
