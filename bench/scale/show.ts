import type { Goal } from '../report.js'
import { short, spread } from '../statistics.js'
import { barCharts } from '../svg.js'
import { table } from '../table.js'
import type { Cell, CellFigures, Effect } from './results.js'

const count = (value: number): string => value.toLocaleString('en').replaceAll(',', ' ')

const agentsText = (agents: number): string => `${agents} agent${agents === 1 ? '' : 's'}`

export const named = ({ flows, agents }: Cell): string => `${count(flows)} flows, ${agentsText(agents)}`

export const grown = (of: Effect['of']): string =>
  'flows' in of ? `${count(of.flows)} flows` : agentsText(of.agents)

export function tables(
  figures: readonly CellFigures[],
  effects: readonly Effect[],
  goals: readonly Goal[],
): string {
  const phases = Object.keys(figures[0]?.phasesUs ?? {})
  return [
    table(
      ['goal', 'goal', 'measured', 'unit', ''],
      goals.map(({ name, goal, value, unit, ok }) => [name, goal, short(value), unit, ok ? 'yes' : 'no']),
    ),
    table(
      ['whatever the other is', 'to the least'],
      effects.map(({ of, ratio }) => [grown(of), spread(ratio)]),
    ),
    table(
      ['in the table', 'µs of CPU a handoff', 'to the first', 'ns a packet', 'handoffs', 'errors'],
      figures.map(({ cell, cpuUs, ratio, packetNs, handoffs, errors }) => [
        named(cell),
        spread(cpuUs),
        spread(ratio),
        spread(packetNs),
        String(handoffs),
        String(errors),
      ]),
    ),
    table(
      ['µs by phase, mean', ...phases],
      figures.map(({ cell, phasesUs }) => [
        named(cell),
        ...phases.map((phase) => short(phasesUs[phase]?.median ?? 0)),
      ]),
    ),
  ].join('\n\n')
}

export function plot(figures: readonly CellFigures[]): string {
  const bars = (
    figure: (one: CellFigures) => { readonly median: number; readonly min: number; readonly max: number },
  ) =>
    figures.map((one) => ({
      label: named(one.cell),
      parts: [{ value: figure(one).median, kind: 0 }],
      spread: figure(one),
      note: short(figure(one).median),
    }))
  return barCharts('The cost of a handoff as table and number of agents grow', [
    { title: 'CPU of the frontend a handoff', unit: 'µs', bars: bars(({ cpuUs }) => cpuUs), legend: ['CPU'] },
    {
      title: 'Steering program a packet',
      unit: 'ns',
      bars: bars(({ packetNs }) => packetNs),
      legend: ['program'],
    },
  ])
}
