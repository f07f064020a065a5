import type { PeerName } from '../peers/peer.js'
import { atLeast, atMost, type Goal } from '../report.js'
import { median, ofRounds, type Rounds } from '../statistics.js'
import type { Accounted, Download, Rate } from './measure.js'

export const peerNames = ['direct', 'baton-adopt', 'baton-http'] as const satisfies readonly PeerName[]

export interface Measured {
  readonly bytes: number
  /** Each with one of every peer, or of the direct connection and adopt alone. */
  readonly downloads: readonly (readonly Download[])[]
  readonly accounted: readonly (readonly Accounted[])[]
  readonly firstBytesUs: readonly ReadonlyMap<PeerName, readonly number[]>[]
  readonly rates: readonly (readonly Rate[])[]
}

function of<T extends { readonly peer: PeerName }>(round: readonly T[], peer: PeerName): T {
  const found = round.find((one) => one.peer === peer)
  if (found === undefined) throw new RangeError(`the round has no ${peer}`)
  return found
}

const roundsOf = <T extends { readonly peer: PeerName }>(rounds: readonly (readonly T[])[], peer: PeerName) =>
  rounds.filter((round) => round.some((one) => one.peer === peer))

/** A figure of one peer over the rounds that it was in. */
export const over = <T extends { readonly peer: PeerName }>(
  rounds: readonly (readonly T[])[],
  peer: PeerName,
  figure: (one: T) => number,
): Rounds => ofRounds(roundsOf(rounds, peer).map((round) => figure(of(round, peer))))

/** Throughput to that of the direct connection in the same round. */
export const toDirect = ({ downloads }: Measured, peer: PeerName): Rounds =>
  ofRounds(
    roundsOf(downloads, peer).map(
      (round) => of(round, peer).gbitPerSecond / of(round, 'direct').gbitPerSecond,
    ),
  )

/** Of a peer's medians, each round's. */
export const firstByte = ({ firstBytesUs }: Measured, peer: PeerName): Rounds =>
  ofRounds(firstBytesUs.map((round) => median(round.get(peer) ?? [])))

export function judge(measured: Measured): Goal[] {
  const { bytes, downloads, accounted } = measured
  const adopt = 'baton-adopt'
  const crossed = over(downloads, adopt, ({ crossedBytes }) => (crossedBytes / bytes) * 100)
  return [
    atLeast('curl ← nginx by adopt, to the direct throughput', toDirect(measured, adopt).median, '×', 0.9),
    atMost('CPU of the agent for 1 GiB', over(accounted, adopt, ({ agentMs }) => agentMs).median, 'ms', 10),
    atMost('bytes that crossed the frontend, of the body', crossed.median, '%', 2),
  ]
}
