import { machine } from '../machine.js'
import { atMost, type Bench, type BenchOptions, type Goal, type Outcome } from '../report.js'
import { short } from '../statistics.js'
import { measureCell, type Pace, withProgramStats } from './measure.js'
import { cells, type Effect, effectsOf, figuresOf, isSame, type Sample } from './results.js'
import { grown, plot, tables } from './show.js'
import { ScaleStage } from './stage.js'

interface Plan extends Pace {
  readonly rounds: number
}

const full: Plan = { rounds: 5, rate: 1500, seconds: 1.5, warmUpSeconds: 0.5 }
const quick: Plan = { rounds: 2, rate: 1500, seconds: 1, warmUpSeconds: 0.5 }
/** A tenth more than with ten flows, or with one agent. */
const FLAT = 1.1

export const scale: Bench = {
  name: 'scale',
  summary: 'cost of a handoff with up to a million flows in the table and up to 100 agents',
  async run(options) {
    const plan = options.quick ? quick : full
    const at = machine()
    const rounds = await measure(plan, options)
    const figures = figuresOf(rounds)
    const effects = effectsOf(rounds)
    const goals = judge(effects)
    const outcome: Outcome = {
      report: { bench: 'scale', goals, data: { machine: at, plan, effects, figures } },
      text: tables(figures, effects, goals),
      plot: plot(figures),
    }
    return outcome
  },
}

async function measure(plan: Plan, { say }: BenchOptions): Promise<Sample[][]> {
  const stage = new ScaleStage()
  try {
    say('starting: three frontends, a hundred agents')
    await stage.startAll()
    return await withProgramStats(async () => {
      const rounds: Sample[][] = []
      // The first round is the compiler's.
      for (let round = 0; round <= plan.rounds; round++) {
        const samples: Sample[] = []
        // There and back, so that a full table stays for the next round.
        const order = round % 2 === 0 ? cells : [...cells].reverse()
        for (const cell of order) samples.push(await measureCell(stage, cell, plan, round))
        say(`${round === 0 ? 'warm-up' : `round ${round} of ${plan.rounds}`}: ${headline(samples)}`)
        if (round > 0) rounds.push(samples)
      }
      return rounds
    })
  } finally {
    await stage.dispose()
  }
}

const headline = (samples: readonly Sample[]): string => {
  const inOrder = cells.flatMap((cell) => samples.filter((sample) => isSame(sample.cell, cell)))
  return `µs a handoff ${inOrder.map(({ cpuUs }) => short(cpuUs)).join(' · ')}`
}

function judge(effects: readonly Effect[]): Goal[] {
  return effects.map(({ of, ratio }) =>
    atMost(`CPU a handoff, ${grown(of)}`, ratio.median, '× the least', FLAT),
  )
}
