import { short } from '../statistics.js'
import { barCharts } from '../svg.js'
import { table } from '../table.js'
import { sides, type Times } from './steps.js'

const batchOf = (batch: number): string => (batch === 1 ? 'one alone' : `of ${batch} at once`)

export function tables(measured: readonly Times[]): string {
  return sides
    .map(({ name, steps }) =>
      table(
        [name, ...measured.map(({ batch }) => `µs, ${batchOf(batch)}`), 'calls'],
        [
          ...Object.entries(steps).map(([step, calls]) => [
            step.replace('proxy ', ''),
            ...measured.map((times) => short(times.steps[step]?.median ?? 0)),
            calls,
          ]),
          ['in all', ...measured.map((times) => short(times.sides[name]?.median ?? 0)), ''],
        ],
      ),
    )
    .join('\n\n')
}

export function plot(measured: readonly Times[]): string {
  return barCharts(
    'System calls by themselves',
    measured.map(({ batch, sides: wholes, steps }) => ({
      title: `A connection, ${batchOf(batch)}`,
      unit: 'µs',
      legend: ['accept and read', 'freeze or restore', 'send and connect', 'the rest'],
      bars: sides.map(({ name, steps: own }) => ({
        label: name,
        parts: [0, 1, 2, 3].map((kind) => ({
          kind,
          value: Object.keys(own)
            .filter((step) => kindOf(step) === kind)
            .reduce((sum, step) => sum + (steps[step]?.median ?? 0), 0),
        })),
        note: short(wholes[name]?.median ?? 0),
      })),
    })),
  )
}

function kindOf(step: string): number {
  if (/accept|peek|read|hear/.test(step)) return 0
  if (/freeze|restore/.test(step)) return 1
  return /offer|ask|answer|connect/.test(step) ? 2 : 3
}
