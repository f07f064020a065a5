import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface, type Interface } from 'node:readline'
import { compiled } from '../compile.js'

/** Of one CPU, in ns, since the counting began. */
export interface SoftirqNs {
  /** While the CPU was idle or ran somebody else. */
  readonly outside: number
  /** While it ran one of the own processes, whose CPU time this is part of. */
  readonly inside: number
}

/**
 * Time in softirq (packets, timers) by CPU, which this kernel counts to whoever runs at that moment: an eBPF program at
 * the tracepoints softirq_entry and softirq_exit. Some 0.2 µs for each time that packets are received.
 */
export class Softirq {
  readonly #child: ChildProcess
  readonly #lines: Interface

  constructor() {
    const args = [compiled('softirq/softirq.bpf.c')]
    this.#child = spawn(compiled('softirq/softirq.c'), args, { stdio: ['pipe', 'pipe', 'inherit'] })
    this.#lines = createInterface({ input: this.#child.stdout! })
  }

  /** Whose CPU time holds what comes while they run. */
  own(pids: readonly number[]): void {
    this.#child.stdin!.write(`own ${pids.join(' ')}\n`)
  }

  /** @throws Error when the counting program has ended */
  async read(): Promise<readonly SoftirqNs[]> {
    const line = once(this.#lines, 'line', { signal: AbortSignal.timeout(5000) })
    this.#child.stdin!.write('read\n')
    const [text] = (await line) as [string]
    return (JSON.parse(text) as [number, number][]).map(([outside, inside]) => ({ outside, inside }))
  }

  close(): void {
    this.#child.stdin?.end()
    this.#lines.close()
  }
}
