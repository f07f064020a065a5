import { readFileSync, writeFileSync } from 'node:fs'
import { answeredOf, errorsOf, runClient } from '../client/index.js'
import { threadsNs } from '../cpu.js'
import { gained } from '../handoff/results.js'
import { counterOf } from '../handoff/scrape.js'
import type { Cell, Sample } from './results.js'
import type { Measured, ScaleStage } from './stage.js'

const statsSwitch = '/proc/sys/kernel/bpf_stats_enabled'

/** Has the kernel time the runs of eBPF programs while `act` lasts: some 20 ns a packet, in every cell alike. */
export async function withProgramStats<T>(act: () => Promise<T>): Promise<T> {
  const before = readFileSync(statsSwitch, 'utf8')
  writeFileSync(statsSwitch, '1')
  try {
    return await act()
  } finally {
    writeFileSync(statsSwitch, before)
  }
}

export interface Pace {
  /** Handoffs a second, the same in every cell: what a batch shares is then the same too. */
  readonly rate: number
  readonly seconds: number
  readonly warmUpSeconds: number
}

async function read(stage: ScaleStage, { name, host, filling }: Measured) {
  const metrics = await host.run('curl', ['-sSf', '--max-time', '5', 'http://127.0.0.1:9900/metrics'])
  return { metrics, cpuNs: threadsNs([stage.process(name).pid]), program: filling.program() }
}

/** One cell: the table filled, then new connections at the given pace. @throws Error when nothing was handed over */
export async function measureCell(stage: ScaleStage, cell: Cell, pace: Pace, seed: number): Promise<Sample> {
  const frontend = stage.frontendWith(cell.agents)
  frontend.filling.set(cell.flows)
  const load = (seconds: number) =>
    runClient(stage.net.client, {
      to: [frontend.target],
      seconds,
      loop: { kind: 'open', rate: pace.rate, seed },
      from: stage.sources,
      samples: 0,
    })
  await load(pace.warmUpSeconds)
  const before = await read(stage, frontend)
  const loaded = await load(pace.seconds)
  const after = await read(stage, frontend)
  const adopted = ({ metrics }: { readonly metrics: string }) =>
    counterOf(metrics, 'baton_handoffs_total', { result: 'adopted' })
  const handoffs = adopted(after) - adopted(before)
  if (handoffs === 0) throw new Error(`nothing was handed over: ${JSON.stringify(loaded.errors)}`)
  const packets = after.program.runs - before.program.runs
  return {
    cell,
    handoffs,
    errors: errorsOf(loaded) + Math.abs(answeredOf(loaded) - handoffs),
    cpuUs: (after.cpuNs - before.cpuNs) / handoffs / 1000,
    packetNs: (after.program.ns - before.program.ns) / packets,
    packets: packets / handoffs,
    phases: gained(before.metrics, after.metrics, 'baton_handoff_phase_seconds'),
  }
}
