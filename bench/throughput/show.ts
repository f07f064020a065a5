import { isBaton, type PeerName } from '../peers/peer.js'
import { type Axis, linearTicks, linePlots, sizeLabel } from '../plot.js'
import type { Goal } from '../report.js'
import { spread } from '../statistics.js'
import { goalTable, table } from '../table.js'
import { distinct, type Measurement, rateOf } from './results.js'

type Titles = ReadonlyMap<PeerName, string>

export function tables(
  measured: readonly Measurement[],
  goals: readonly Goal[],
  titles: Titles,
  linkMbit: number,
): string {
  const backends = distinct(measured, 'backends')
  const rates = distinct(measured, 'bytes').map((bytes) => {
    const head = [
      `${sizeLabel(bytes)} objects, Gbit/s`,
      ...backends.map((count) => `${count} × ${linkMbit} Mbit/s`),
    ]
    const rows = distinct(measured, 'peer').map((peer) => [
      titles.get(peer) ?? peer,
      ...backends.map((count) => spread(rateOf(measured, peer, count, bytes))),
    ])
    return table(head, rows)
  })
  return [goalTable(goals), ...rates].join('\n\n')
}

export function plot(measured: readonly Measurement[], titles: Titles, linkMbit: number): string {
  const backends = distinct(measured, 'backends')
  const peers = distinct(measured, 'peer')
  const most = (Math.max(...backends) * linkMbit) / 1000
  const x: Axis = {
    label: `backends, each with a link of ${linkMbit} Mbit/s`,
    scale: 'linear',
    ticks: backends.map((at) => ({ at, label: String(at) })),
  }
  const y: Axis = { label: 'all together, Gbit/s', scale: 'linear', ticks: linearTicks(most) }
  const panels = distinct(measured, 'bytes').map((bytes) => ({
    title: `${sizeLabel(bytes)} objects`,
    x,
    y,
    series: [
      ...peers.map((peer, kind) => ({
        name: titles.get(peer) ?? peer,
        kind,
        bold: isBaton(peer),
        points: backends.map((count) => {
          const { median: rate, min, max } = rateOf(measured, peer, count, bytes)
          // Lines that would lie on each other stand a little apart.
          return { x: count + (kind - peers.length / 2) * 0.02, y: rate, low: min, high: max }
        }),
      })),
    ],
  }))
  return linePlots('Throughput: every link capped alike', panels)
}
