import type { PeerName } from '../peers/peer.js'
import { sizeLabel } from '../plot.js'
import { atLeast, atMost, type Goal } from '../report.js'
import { median, ofRounds, type Rounds } from '../statistics.js'
import { forLoad, type Measurement, type Side } from './measurement.js'

export const sizesOf = (measured: readonly Measurement[]): number[] =>
  [...new Set(measured.map(({ size }) => size))].filter((size) => size > 0).sort((a, b) => a - b)

export const peersOf = (measured: readonly Measurement[]): PeerName[] => [
  ...new Set(measured.map(({ peer }) => peer)),
]

/** Each round of one peer and size, with the peer at rest in the same round. */
function rounds(measured: readonly Measurement[], peer: PeerName, size: number) {
  const of = (wanted: number) => measured.filter((one) => one.peer === peer && one.size === wanted)
  const resting = of(0)
  return of(size).map((one, round) => {
    const atRest = resting[round]
    if (atRest === undefined) throw new RangeError(`${peer} was not measured at rest in round ${round + 1}`)
    return { one, atRest }
  })
}

/** Microseconds of CPU for one request of that size. */
export const perRequest = (
  measured: readonly Measurement[],
  peer: PeerName,
  size: number,
  side: Side,
): Rounds =>
  ofRounds(
    rounds(measured, peer, size).map(({ one, atRest }) => {
      // By bytes, since a large object may be half way at the end of the round.
      const requests = Math.max(one.load.answers, one.load.bytes / size)
      return (forLoad(one, atRest, side) / requests) * 1e6
    }),
  )

/** Seconds of CPU for 10⁹ bytes in objects of that size. */
export const perGigabyte = (
  measured: readonly Measurement[],
  peer: PeerName,
  size: number,
  side: Side,
): Rounds =>
  ofRounds(
    rounds(measured, peer, size).map(
      ({ one, atRest }) => forLoad(one, atRest, side) / (one.load.bytes / 1e9),
    ),
  )

/**
 * From which size on `one` costs no more than the cheaper of the others: where its curve meets theirs for the last time,
 * by interpolation between the sizes, both logarithmic. The smallest size if it is cheaper from there on; undefined when
 * it is not at the largest.
 */
export function crossover(
  sizes: readonly number[],
  one: readonly number[],
  others: readonly (readonly number[])[],
): number | undefined {
  /** Above 0: dearer than the others. */
  const excess = sizes.map((_, index) =>
    Math.log((one[index] ?? 0) / Math.min(...others.map((other) => other[index] ?? Number.NaN))),
  )
  for (let index = sizes.length - 1; index >= 0; index--) {
    const here = excess[index] ?? Number.NaN
    if (here <= 0) continue
    const next = excess[index + 1]
    if (next === undefined) return undefined
    const [from, to] = [Math.log(sizes[index] ?? 1), Math.log(sizes[index + 1] ?? 1)]
    return Math.exp(from + (to - from) * (here / (here - next)))
  }
  return sizes[0]
}

/** Of Baton against HAProxy, whichever of its two ways is cheaper at a size. */
export function batonCrossover(measured: readonly Measurement[], side: Side): number | undefined {
  const sizes = sizesOf(measured)
  const curve = (peer: PeerName) => sizes.map((size) => perRequest(measured, peer, size, side).median)
  return crossover(sizes, curve('baton-adopt'), [curve('haproxy'), curve('haproxy-splice')])
}

/** From here on objects are large: the handoff is a small part of what they cost. */
const LARGE_BYTES = 64 * 2 ** 20

export function judge(measured: readonly Measurement[]): Goal[] {
  const sizes = sizesOf(measured)
  const largest = sizes.at(-1) ?? 0
  const frontend = batonCrossover(measured, 'frontend')
  const ratios = sizes
    .filter((size) => size >= LARGE_BYTES)
    .map((size) => {
      const each = (peer: PeerName) => perGigabyte(measured, peer, size, 'frontend').rounds
      const spliced = each('haproxy-splice')
      const times = each('baton-adopt').map((baton, round) => (spliced[round] ?? Number.NaN) / baton)
      const name = `HAProxy with forced splice over Baton, frontend CPU, ${sizeLabel(size)}`
      return atLeast(name, median(times), 'times', 30)
    })
  return [
    ...ratios,
    // Never is said as beyond the largest size.
    atMost('crossover with HAProxy, frontend CPU', (frontend ?? largest * 2) / 1024, 'KiB', 16),
  ]
}
