import type { PeerName } from '../peers/peer.js'
import type { Goal } from '../report.js'
import { short, spread } from '../statistics.js'
import { barCharts } from '../svg.js'
import { goalTable, table } from '../table.js'
import { away, kept, longestStall, lost, type Measurement, medianStall, peersOf } from './results.js'

type Titles = ReadonlyMap<PeerName, string>

const nameOf = (peer: PeerName, titles: Titles): string =>
  peer === 'direct' ? 'direct, nothing killed' : (titles.get(peer) ?? peer)

/** Where (by the median of the rounds) no connection was left there is nothing to tell of stalls. */
const stallOf = (measured: readonly Measurement[], peer: PeerName): string =>
  kept(measured, peer).median === 0 ? '–' : spread(longestStall(measured, peer))

export function tables(measured: readonly Measurement[], goals: readonly Goal[], titles: Titles): string {
  const head = ['killed with -9', 'kept', 'lost', 'longest stall, ms', 'median', 'away, ms']
  const rows = peersOf(measured).map((peer) => [
    nameOf(peer, titles),
    spread(kept(measured, peer)),
    spread(lost(measured, peer)),
    stallOf(measured, peer),
    kept(measured, peer).median === 0 ? '–' : short(medianStall(measured, peer).median),
    peer === 'direct' ? '–' : short(away(measured, peer).median),
  ])
  return [goalTable(goals), table(head, rows)].join('\n\n')
}

export function plot(measured: readonly Measurement[], titles: Titles): string {
  const peers = peersOf(measured)
  const bars = peers.map((peer) => ({
    label: nameOf(peer, titles),
    parts: [
      { value: kept(measured, peer).median, kind: 0 },
      { value: lost(measured, peer).median, kind: 1 },
    ],
    note: `${short(lost(measured, peer).median)} lost`,
  }))
  const stalls = peers
    .filter((peer) => kept(measured, peer).median > 0)
    .map((peer) => ({
      label: nameOf(peer, titles),
      parts: [{ value: longestStall(measured, peer).median, kind: 0 }],
      note: `${short(longestStall(measured, peer).median)} ms`,
    }))
  return barCharts('kill -9 under 1,000 downloads', [
    { title: 'Downloads', unit: 'of 1,000', bars, legend: ['kept', 'lost'] },
    { title: 'Longest time without a byte, of those not lost', unit: 'ms', bars: stalls, legend: [''] },
  ])
}
