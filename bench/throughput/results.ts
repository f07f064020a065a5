import type { PeerName } from '../peers/peer.js'
import { atLeast, type Goal } from '../report.js'
import { ofRounds, type Rounds } from '../statistics.js'

/** What the client received from one peer in one round. */
export interface Measurement {
  readonly peer: PeerName
  readonly backends: number
  readonly bytes: number
  readonly gbitPerSecond: number
  /** Whole objects. */
  readonly answers: number
}

/** Of what is measured: the peers, numbers of backends or sizes that occur, in the order of their first appearance. */
export const distinct = <Key extends keyof Measurement>(
  measured: readonly Measurement[],
  key: Key,
): Measurement[Key][] => [...new Set(measured.map((one) => one[key]))]

/** The rounds of one combination. @throws RangeError when there are none */
export function rateOf(
  measured: readonly Measurement[],
  peer: PeerName,
  backends: number,
  bytes: number,
): Rounds {
  const chosen = measured.filter(
    (one) => one.peer === peer && one.backends === backends && one.bytes === bytes,
  )
  return ofRounds(chosen.map(({ gbitPerSecond }) => gbitPerSecond))
}

/** Share of the links' rate, all backends' together. Of frames of 1514 bytes 1448 are payload: 0.956 is a full link. */
export function judge(measured: readonly Measurement[], linkMbit: number): Goal[] {
  return distinct(measured, 'bytes').flatMap((bytes) =>
    distinct(measured, 'backends').map((backends) => {
      const rate = rateOf(measured, 'baton-adopt', backends, bytes).median
      const links = (backends * linkMbit) / 1000
      const name = `${bytes / 2 ** 20} MiB from ${backends} backend${backends === 1 ? '' : 's'}`
      return atLeast(name, rate / links, 'of the links', 0.95)
    }),
  )
}
