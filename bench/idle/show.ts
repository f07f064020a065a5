import type { PeerName } from '../peers/peer.js'
import type { Goal } from '../report.js'
import { barCharts } from '../svg.js'
import { goalTable, table } from '../table.js'
import { bothParts, type Measurement, peersOf, perConnection, stepsOf } from './results.js'

type Titles = ReadonlyMap<PeerName, string>

const mib = (bytes: number): string => (bytes / 2 ** 20).toFixed(1)
const whole = (value: number): string => Math.round(value).toLocaleString('en')

export function tables(measured: readonly Measurement[], goals: readonly Goal[], titles: Titles): string {
  const steps = measured.map((one) => [
    titles.get(one.peer) ?? one.peer,
    whole(one.connections),
    mib(one.userBytes),
    mib(one.kernelBytes),
    whole(one.sockets),
  ])
  const slopes = peersOf(measured).map((peer) => {
    const own = stepsOf(measured, peer)
    return [
      titles.get(peer) ?? peer,
      whole(own.at(-1)?.connections ?? 0),
      whole(perConnection(own, ['userBytes'])),
      whole(perConnection(own, ['kernelBytes'])),
      whole(perConnection(own, bothParts)),
    ]
  })
  return [
    goalTable(goals),
    table(['bytes a connection', 'to', 'process', 'kernel', 'together'], slopes),
    table(['frontend with', 'connections', 'process, MiB', 'kernel, MiB', 'TCP sockets'], steps),
  ].join('\n\n')
}

/** Bytes for one connection, by peer: what the kernel holds and what the process does. */
export function plot(measured: readonly Measurement[], titles: Titles): string {
  const bars = peersOf(measured).map((peer) => {
    const own = stepsOf(measured, peer)
    const kernel = perConnection(own, ['kernelBytes'])
    const user = perConnection(own, ['userBytes'])
    return {
      label: titles.get(peer) ?? peer,
      parts: [
        { value: Math.max(0, kernel), kind: 0 },
        { value: Math.max(0, user), kind: 1 },
      ],
      note: `${whole(kernel + user)} bytes`,
    }
  })
  const steps = stepsOf(measured, 'baton-adopt').map(({ connections, kernelBytes, userBytes }) => ({
    label: `${whole(connections)} connections`,
    parts: [
      { value: kernelBytes / 2 ** 20, kind: 0 },
      { value: userBytes / 2 ** 20, kind: 1 },
    ],
    note: `${mib(kernelBytes + userBytes)} MiB`,
  }))
  const legend = ['kernel', 'process']
  return barCharts('Memory of a frontend with idle connections', [
    { title: 'By connection', unit: 'bytes', bars, legend },
    { title: 'All of Baton’s frontend', unit: 'MiB', bars: steps, legend },
  ])
}
