import type { PeerName } from '../peers/peer.js'
import type { Goal } from '../report.js'
import { short, spread } from '../statistics.js'
import { barCharts } from '../svg.js'
import { goalTable, table } from '../table.js'
import type { Figures } from './results.js'

export type Titles = Readonly<Partial<Record<PeerName, string>>>

export function tables(figures: readonly Figures[], goals: readonly Goal[], titles: Titles): string {
  const rows = figures.map((one) => [
    titles[one.peer] ?? one.peer,
    spread(one.hostUs),
    spread(one.processUs),
    spread(one.softirqUs),
    short(one.perCoreSecond.median),
    spread(one.toHaproxy),
    short(one.perSecond.median),
    `${one.errors} of ${one.connections}`,
  ])
  const head = [
    'µs of the frontend a connection',
    'all',
    'process',
    'softirq',
    'a core-second',
    "to HAProxy's",
    'here a second',
    'errors',
  ]
  return [goalTable(goals), table(head, rows)].join('\n\n')
}

export function plot(figures: readonly Figures[], titles: Titles): string {
  const bars = figures.map(({ peer, processUs, softirqUs, hostUs }) => ({
    label: titles[peer] ?? peer,
    parts: [
      { value: processUs.median, kind: 0 },
      { value: softirqUs.median, kind: 1 },
    ],
    spread: hostUs,
    note: short(hostUs.median),
  }))
  return barCharts('A connection for each answer of 1 KB', [
    {
      title: "CPU of the frontend's host for each connection",
      unit: 'µs',
      bars,
      legend: ['process and its system calls', 'packets (softirq)'],
    },
  ])
}
