import { isBaton, type PeerName } from '../peers/peer.js'
import { type Axis, linePlots, logTicks, type Panel, sizeLabel } from '../plot.js'
import type { Goal } from '../report.js'
import { type Rounds, short, spread } from '../statistics.js'
import { goalTable, table } from '../table.js'
import type { Measurement, Side } from './measurement.js'
import { batonCrossover, peersOf, perGigabyte, perRequest, sizesOf } from './results.js'

type Titles = ReadonlyMap<PeerName, string>
type Figure = (measured: readonly Measurement[], peer: PeerName, size: number, side: Side) => Rounds

const sides = { frontend: 'frontend', whole: 'whole machine' } as const

export function tables(measured: readonly Measurement[], goals: readonly Goal[], titles: Titles): string {
  const sizes = sizesOf(measured)
  const one = (title: string, figure: Figure, side: Side, show: (rounds: Rounds) => string) =>
    table(
      [title, ...sizes.map(sizeLabel)],
      peersOf(measured)
        .filter((peer) => side === 'whole' || peer !== 'direct')
        .map((peer) => [
          titles.get(peer) ?? peer,
          ...sizes.map((size) => show(figure(measured, peer, size, side))),
        ]),
    )
  const middle = ({ median }: Rounds) => short(median)
  const crossing = (side: Side) => {
    const size = batonCrossover(measured, side)
    return [sides[side], size === undefined ? 'none' : `${short(size / 1024)} KiB`]
  }
  return [
    goalTable(goals),
    one('µs a request, frontend', perRequest, 'frontend', spread),
    one('s a GB, frontend', perGigabyte, 'frontend', middle),
    one('µs a request, whole machine', perRequest, 'whole', middle),
    one('s a GB, whole machine', perGigabyte, 'whole', middle),
    table(['crossover with HAProxy', 'from'], [crossing('frontend'), crossing('whole')]),
  ].join('\n\n')
}

export function plot(measured: readonly Measurement[], titles: Titles): string {
  const sizes = sizesOf(measured)
  const x: Axis = {
    label: 'size of the object, one connection each',
    scale: 'log',
    ticks: sizes.map((at) => ({ at, label: sizeLabel(at).replace(/ ([KMG])iB/, '$1') })),
  }
  const panel = (title: string, figure: Figure, side: Side, unit: string): Panel => {
    const peers = peersOf(measured).filter((peer) => side === 'whole' || peer !== 'direct')
    const series = peers.map((peer) => ({
      name: titles.get(peer) ?? peer,
      kind: peersOf(measured).indexOf(peer),
      bold: isBaton(peer),
      points: sizes.map((size) => {
        const { median: y, min: low, max: high } = figure(measured, peer, size, side)
        return { x: size, y, low, high }
      }),
    }))
    const values = series.flatMap(({ points }) => points.flatMap(({ low, high }) => [low, high]))
    const positive = values.filter((value) => value > 0)
    const ticks = logTicks(Math.min(...positive), Math.max(...positive))
    return { title, x, y: { label: unit, scale: 'log', ticks }, series }
  }
  return linePlots('CPU, softirq included', [
    panel('Frontend, by request', perRequest, 'frontend', 'µs of CPU a request'),
    panel('Whole machine, by request', perRequest, 'whole', 'µs of CPU a request'),
    panel('Frontend, by GB', perGigabyte, 'frontend', 's of CPU a GB'),
    panel('Whole machine, by GB', perGigabyte, 'whole', 's of CPU a GB'),
  ])
}
