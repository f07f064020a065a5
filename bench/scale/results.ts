import type { LivePhases } from '../handoff/results.js'
import { ofRounds, type Rounds } from '../statistics.js'
import { type AgentCount, agentCounts } from './stage.js'

/** What is varied. The first is what the others are compared with. */
export interface Cell {
  readonly flows: (typeof flowCounts)[number]
  readonly agents: AgentCount
}

const flowCounts = [10, 10_000, 1_000_000] as const

/**
 * The frontends take turns, and all have as many: a process that ran less is colder, and pays more for a handoff whatever
 * the number of its agents.
 */
export const cells: readonly Cell[] = flowCounts.flatMap((flows) =>
  agentCounts.map((agents) => ({ flows, agents })),
)

/** One cell in one round. */
export interface Sample {
  readonly cell: Cell
  readonly handoffs: number
  readonly errors: number
  /** Of the frontend's threads, for each handoff. */
  readonly cpuUs: number
  /** The steering program, for each packet at the frontend. */
  readonly packetNs: number
  readonly packets: number
  readonly phases: LivePhases
}

/** A cell over the rounds. */
export interface CellFigures {
  readonly cell: Cell
  readonly cpuUs: Rounds
  /** To the first cell, in the same round. */
  readonly ratio: Rounds
  readonly packetNs: Rounds
  readonly phasesUs: Readonly<Record<string, Rounds>>
  readonly handoffs: number
  readonly errors: number
}

/** What growing one of the two costs, whatever the other is. */
export interface Effect {
  readonly of: Pick<Cell, 'flows'> | Pick<Cell, 'agents'>
  /** Its three cells in sum, to the three with the least of it, in the same round. */
  readonly ratio: Rounds
}

/** @param rounds each with one sample of each cell */
export function effectsOf(rounds: readonly (readonly Sample[])[]): Effect[] {
  const ratio = (its: (cell: Cell) => boolean, least: (cell: Cell) => boolean) =>
    ofRounds(
      rounds.map((round) => {
        const total = (wanted: (cell: Cell) => boolean) =>
          round.filter(({ cell }) => wanted(cell)).reduce((sum, { cpuUs }) => sum + cpuUs, 0)
        return total(its) / total(least)
      }),
    )
  const [fewFlows, ...moreFlows] = flowCounts
  const [fewAgents, ...moreAgents] = agentCounts
  return [
    ...moreFlows.map((flows) => ({
      of: { flows },
      ratio: ratio(
        (cell) => cell.flows === flows,
        (cell) => cell.flows === fewFlows,
      ),
    })),
    ...moreAgents.map((agents) => ({
      of: { agents },
      ratio: ratio(
        (cell) => cell.agents === agents,
        (cell) => cell.agents === fewAgents,
      ),
    })),
  ]
}

export const isSame = (a: Cell, b: Cell): boolean => a.flows === b.flows && a.agents === b.agents

/** @param rounds each with one sample of each cell */
export function figuresOf(rounds: readonly (readonly Sample[])[]): CellFigures[] {
  return cells.flatMap((cell) => {
    const own = rounds.flatMap((round) => round.filter((sample) => isSame(sample.cell, cell)))
    const [first] = own
    if (first === undefined) return []
    const over = (figure: (sample: Sample) => number) => ofRounds(own.map(figure))
    const ratios = rounds.flatMap((round) => {
      const [base] = round.filter((sample) => isSame(sample.cell, cells[0]!))
      const it = round.find((sample) => isSame(sample.cell, cell))
      return base === undefined || it === undefined ? [] : [it.cpuUs / base.cpuUs]
    })
    const phases = Object.keys(first.phases).map(
      (phase) => [phase, over((sample) => sample.phases[phase]?.meanUs ?? 0)] as const,
    )
    return [
      {
        cell,
        cpuUs: over(({ cpuUs }) => cpuUs),
        ratio: ofRounds(ratios),
        packetNs: over(({ packetNs }) => packetNs),
        phasesUs: Object.fromEntries(phases),
        handoffs: own.reduce((sum, { handoffs }) => sum + handoffs, 0),
        errors: own.reduce((sum, { errors }) => sum + errors, 0),
      },
    ]
  })
}
