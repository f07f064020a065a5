import type { Load } from '../downloads/load.js'
import type { PeerName } from '../peers/peer.js'

/** Seconds of CPU, softirq included where a host is named: see HostCpu. */
export interface Spent {
  /** The host that stands between, processes and packets. */
  readonly frontend: number
  /** Of that, what packets cost. */
  readonly frontendPackets: number
  /** The backends' hosts: the application, Baton's agents, packets. */
  readonly backends: number
  /** The router and switch of the lab: a wire's worth in reality, and the same for everybody by packet. */
  readonly network: number
  /** The client's host: its program and its packets. */
  readonly client: number
  /** Softirq without a packet, on whatever host. */
  readonly otherSoftirq: number
  /** Of the machine's cores, everybody's, in ticks: for comparison. */
  readonly busy: number
}

export const since = (before: Spent, after: Spent): Spent => ({
  frontend: after.frontend - before.frontend,
  frontendPackets: after.frontendPackets - before.frontendPackets,
  backends: after.backends - before.backends,
  network: after.network - before.network,
  client: after.client - before.client,
  otherSoftirq: after.otherSoftirq - before.otherSoftirq,
  busy: after.busy - before.busy,
})

/** One peer, one size, one round; or a peer at rest, whose size is 0. */
export interface Measurement {
  readonly peer: PeerName
  readonly size: number
  readonly load: Load
  readonly spent: Spent
}

export type Side = 'frontend' | 'whole'

const sumOf = ({ frontend, backends, network, client, otherSoftirq }: Spent): number =>
  frontend + backends + network + client + otherSoftirq

const sideOf = (spent: Spent, side: Side): number => (side === 'frontend' ? spent.frontend : sumOf(spent))

/** Seconds of CPU for the load, without what the peer needs at rest in the same time. */
export function forLoad(one: Measurement, atRest: Measurement, side: Side): number {
  const rest = sideOf(atRest.spent, side) / atRest.load.seconds
  return Math.max(0, sideOf(one.spent, side) - rest * one.load.seconds)
}
