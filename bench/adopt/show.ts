import type { PeerName } from '../peers/peer.js'
import type { Goal } from '../report.js'
import { type Rounds, spread } from '../statistics.js'
import { barCharts, type Chart } from '../svg.js'
import { goalTable, table } from '../table.js'
import { firstByte, type Measured, over, peerNames, toDirect } from './results.js'

type Titles = ReadonlyMap<PeerName, string>

export function tables(measured: Measured, goals: readonly Goal[], titles: Titles): string {
  const { downloads, accounted, rates } = measured
  const columns = peerNames.map((name) => titles.get(name) ?? name)
  const row = (title: string, figure: (peer: PeerName) => Rounds | undefined) => [
    title,
    ...peerNames.map((peer) => {
      const rounds = figure(peer)
      return rounds === undefined ? '' : spread(rounds)
    }),
  ]
  const between = (figure: (peer: PeerName) => Rounds) => (peer: PeerName) =>
    peer === 'direct' ? undefined : figure(peer)
  return [
    goalTable(goals),
    table(
      ['1 GiB of nginx to curl', ...columns],
      [
        row('Gbit/s', (peer) => over(downloads, peer, ({ gbitPerSecond }) => gbitPerSecond)),
        row(
          'to direct, of the same round',
          between((peer) => toDirect(measured, peer)),
        ),
        row(
          'MB across the frontend',
          between((peer) => over(downloads, peer, ({ crossedBytes }) => crossedBytes / 1e6)),
        ),
        row(
          'CPU of the agent, ms',
          between((peer) => over(accounted, peer, ({ agentMs }) => agentMs)),
        ),
        row(
          "CPU of the frontend's host, ms",
          between((peer) => over(accounted, peer, ({ frontendMs }) => frontendMs)),
        ),
        row(
          '  of that, packets',
          between((peer) => over(accounted, peer, ({ frontendPacketsMs }) => frontendPacketsMs)),
        ),
      ],
    ),
    table(
      ['1 KB, a connection each', ...columns],
      [
        row('first byte, µs, one at a time', (peer) => firstByte(measured, peer)),
        row('a second, 32 at once', (peer) => over(rates, peer, ({ perSecond }) => perSecond)),
        row('errors', (peer) => over(rates, peer, ({ errors }) => errors)),
      ],
    ),
  ].join('\n\n')
}

export function plot(measured: Measured, titles: Titles): string {
  const { downloads, accounted, rates } = measured
  const chart = (title: string, unit: string, figure: (peer: PeerName) => Rounds): Chart => ({
    title,
    unit,
    legend: [''],
    bars: peerNames.map((peer, kind) => {
      const rounds = figure(peer)
      return {
        label: titles.get(peer) ?? peer,
        parts: [{ value: rounds.median, kind }],
        note: spread(rounds),
      }
    }),
  })
  return barCharts('nginx, unmodified, behind Baton', [
    chart('1 GiB to curl', 'Gbit/s', (peer) => over(downloads, peer, ({ gbitPerSecond }) => gbitPerSecond)),
    chart('CPU of the agent for 1 GiB', 'ms', (peer) => over(accounted, peer, ({ agentMs }) => agentMs)),
    chart('First byte of 1 KB on a new connection', 'µs', (peer) => firstByte(measured, peer)),
    chart('Answers of 1 KB on new connections, 32 at once, everything on this machine', '1/s', (peer) =>
      over(rates, peer, ({ perSecond }) => perSecond),
    ),
  ])
}
