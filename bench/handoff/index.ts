import { machine } from '../machine.js'
import { atLeast, atMost, type Bench, type BenchOptions, type Goal, type Outcome } from '../report.js'
import { short } from '../statistics.js'
import { firstBytes } from './first-byte.js'
import { load } from './load.js'
import { measurePhases } from './phases.js'
import { firstByteOf, gained, loadOf, type Measured, phasesOf, type Round } from './results.js'
import { plot, tables } from './show.js'
import { Stage } from './stage.js'
import { traceLoad, traceSingle } from './trace.js'

interface Plan {
  readonly rounds: number
  readonly loadSeconds: number
  readonly firstBytes: number
  readonly phases: { readonly single: number; readonly sixteen: number }
  readonly traced: number
}

const full: Plan = {
  rounds: 5,
  loadSeconds: 4,
  firstBytes: 300,
  phases: { single: 200, sixteen: 30 },
  traced: 100,
}
const quick: Plan = {
  rounds: 2,
  loadSeconds: 1,
  firstBytes: 80,
  phases: { single: 60, sixteen: 8 },
  traced: 30,
}

export const handoff: Bench = {
  name: 'handoff',
  summary: 'one handoff: time and system calls by phase, handoffs per core, time to first byte',
  async run(options) {
    const plan = options.quick ? quick : full
    const at = machine()
    const measured = await measure(plan, options)
    const goals = judge(measured)
    const { rounds, live, single, loaded } = measured
    const data = {
      machine: at,
      plan,
      phasesUs: phasesOf(rounds),
      livePhasesUs: live,
      systemCalls: { single, loaded },
      load: rounds.map((round) => round.load),
      firstByteUs: firstByteOf(rounds),
    }
    const outcome: Outcome = {
      report: { bench: 'handoff', goals, data },
      text: tables(measured, goals),
      plot: plot(measured),
    }
    return outcome
  },
}

async function measure(plan: Plan, { say }: BenchOptions): Promise<Measured> {
  const stage = new Stage()
  try {
    say('starting: a client, a router, frontends, backends')
    await stage.startAll()
    // The first seconds of a process are the compiler's.
    await load(stage, stage.way('inline'), Math.max(1, plan.loadSeconds / 2))
    const scrape = async () => ({
      frontend: await stage.metrics('frontend'),
      agent: await stage.metrics('inline'),
    })
    const before = await scrape()
    const rounds: Round[] = []
    for (let round = 1; round <= plan.rounds; round++) {
      rounds.push(await measureRound(stage, plan))
      say(`round ${round} of ${plan.rounds}: ${headline(rounds.at(-1)!)}`)
    }
    const after = await scrape()
    say('system calls')
    const single = await traceSingle(stage, plan.traced)
    const loaded = await traceLoad(stage, 2)
    const live = {
      frontend: gained(before.frontend, after.frontend, 'baton_handoff_phase_seconds'),
      agent: gained(before.agent, after.agent, 'baton_agent_phase_seconds'),
    }
    return { rounds, live, single, loaded }
  } finally {
    await stage.dispose()
  }
}

async function measureRound(stage: Stage, plan: Plan): Promise<Round> {
  const phases = await measurePhases(stage, plan.phases)
  const times = await firstBytes(stage, stage.ways, plan.firstBytes)
  const firstByte = stage.ways.map(({ name }, index) => ({ way: name, timesUs: times[index] ?? [] }))
  return { phases, firstByte, load: await load(stage, stage.way('inline'), plan.loadSeconds) }
}

function headline(round: Round): string {
  const added = firstByteOf([round]).inline.added.median
  const { handoffsPerFrontendCpuSecond } = round.load
  return `${Math.round(handoffsPerFrontendCpuSecond)} handoffs per frontend CPU-second, first byte +${short(added)} µs`
}

function judge({ rounds }: Measured): Goal[] {
  const phases = phasesOf(rounds)
  const phase = (name: string) => phases[name]?.median.median ?? Number.NaN
  return [
    atMost('freeze and dump', phase('freeze/1'), 'µs', 25),
    atMost('restore', phase('restore/1'), 'µs', 35),
    atMost('added time to first byte', firstByteOf(rounds).inline.added.median / 1000, 'ms', 0.3),
    atLeast(
      'handoffs per second per frontend core',
      loadOf(rounds, (one) => one.handoffsPerFrontendCpuSecond).median,
      '1/s',
      8000,
    ),
  ]
}
