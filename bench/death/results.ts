import { lostOf, type Paced } from '../downloads/pace.js'
import type { PeerName } from '../peers/peer.js'
import { atMost, type Goal } from '../report.js'
import { ofRounds, quantile, type Rounds } from '../statistics.js'

/** One peer, killed once under its downloads. */
export interface Measurement extends Paced {
  readonly peer: PeerName
  /** From the kill until the next process took connections. */
  readonly awayMs: number
}

export const peersOf = (measured: readonly Measurement[]): PeerName[] => [
  ...new Set(measured.map(({ peer }) => peer)),
]

const figure =
  (of: (one: Measurement) => number) =>
  (measured: readonly Measurement[], peer: PeerName): Rounds =>
    ofRounds(measured.filter((one) => one.peer === peer).map(of))

export const lost = figure(lostOf)
export const kept = figure((one) => one.whole + one.flowing)
export const away = figure(({ awayMs }) => awayMs)
/** Of those that were not lost; 0 when all were. */
export const longestStall = figure(({ stallsMs }) => Math.max(0, ...stallsMs))
export const medianStall = figure(({ stallsMs }) => (stallsMs.length === 0 ? 0 : quantile(stallsMs, 0.5)))

/** The worst round counts: a connection that was lost is lost. */
export const judge = (measured: readonly Measurement[]): Goal[] => [
  atMost('connections lost with the frontend', lost(measured, 'baton-adopt').max, '', 0),
]
