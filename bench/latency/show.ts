import { dotCharts } from '../dots.js'
import type { Goal } from '../report.js'
import { short, spread } from '../statistics.js'
import { goalTable, table } from '../table.js'
import type { Condition, Figures } from './results.js'
import { directTo, type Way } from './ways.js'

export interface Shown {
  readonly figures: readonly Figures[]
  readonly ways: readonly Way[]
  /** Requests a second at half load. */
  readonly rate: number
}

const titleOf = (ways: readonly Way[], name: Way['name']): string =>
  ways.find((way) => way.name === name)?.title ?? name

const conditionOf = (condition: Condition, rate: number): string =>
  condition === 'one' ? 'one client' : `half load, ${Math.round(rate)} a second`

const isDirect = (name: Way['name']): boolean => name === directTo.nginx || name === directTo.node

export function tables({ figures, ways, rate }: Shown, goals: readonly Goal[]): string {
  const parts = (['one', 'half'] as const).map((condition) =>
    table(
      [
        `${conditionOf(condition, rate)}: µs to the first byte`,
        'p50',
        'p99',
        'p99.9',
        'added at p50',
        'at p99',
        'errors',
      ],
      figures
        .filter((one) => one.condition === condition)
        .map((one) => [
          titleOf(ways, one.way),
          spread(one.p50),
          spread(one.p99),
          short(one.p999),
          isDirect(one.way) ? '' : spread(one.addedP50),
          isDirect(one.way) ? '' : spread(one.addedP99),
          `${one.errors} of ${one.count}`,
        ]),
    ),
  )
  return [goalTable(goals), ...parts].join('\n\n')
}

export function plot({ figures, ways, rate }: Shown): string {
  return dotCharts(
    'Time to first byte, a new connection for each request',
    (['one', 'half'] as const).map((condition) => ({
      title: conditionOf(condition, rate),
      unit: 'µs, logarithmic',
      legend: ['p50', 'p99', 'p99.9'],
      rows: figures
        .filter((one) => one.condition === condition)
        .map(({ way, p50, p99, p999 }) => ({
          label: titleOf(ways, way),
          values: [p50.median, p99.median, p999],
          note: [p50.median, p99.median, p999].map(short).join(' · '),
        })),
    })),
  )
}
