import type { Summary } from '../statistics.js'
import { ofRounds, quantile, type Rounds } from '../statistics.js'
import type { Load } from './load.js'
import { describe, type Histogram, histogramsOf, since } from './scrape.js'
import type { Way } from './stage.js'
import type { LoadedCalls, SystemCalls } from './trace.js'

/** What one round of everything gave. */
export interface Round {
  readonly phases: Readonly<Record<string, Summary>>
  readonly load: Load
  readonly firstByte: readonly { readonly way: Way['name']; readonly timesUs: readonly number[] }[]
}

export interface Measured {
  readonly rounds: readonly Round[]
  readonly live: Readonly<Record<'frontend' | 'agent', LivePhases>>
  readonly single: SystemCalls
  readonly loaded: LoadedCalls
}

/** A phase over the rounds: of the rounds' medians, and of their 99th percentiles, in µs. */
export interface Phase {
  readonly median: Rounds
  readonly p99: Rounds
}

export function phasesOf(rounds: readonly Round[]): Record<string, Phase> {
  const names = Object.keys(rounds[0]?.phases ?? {})
  const figures = (name: string) => rounds.flatMap(({ phases }) => phases[name] ?? [])
  return Object.fromEntries(
    names.map((name) => [
      name,
      {
        median: ofRounds(figures(name).map(({ median }) => median)),
        p99: ofRounds(figures(name).map(({ p99 }) => p99)),
      },
    ]),
  )
}

export interface FirstByte {
  readonly p50: Rounds
  readonly p99: Rounds
  /** Over `direct`, of the medians of the same round. */
  readonly added: Rounds
}

export function firstByteOf(rounds: readonly Round[]): Record<Way['name'], FirstByte> {
  const at = (round: Round, name: Way['name'], share: number) =>
    quantile(round.firstByte.find(({ way }) => way === name)?.timesUs ?? [], share)
  const one = (name: Way['name']): FirstByte => ({
    p50: ofRounds(rounds.map((round) => at(round, name, 0.5))),
    p99: ofRounds(rounds.map((round) => at(round, name, 0.99))),
    added: ofRounds(rounds.map((round) => at(round, name, 0.5) - at(round, 'direct', 0.5))),
  })
  return { direct: one('direct'), inline: one('inline'), http: one('http'), relay: one('relay') }
}

export const loadOf = (rounds: readonly Round[], figure: (load: Load) => number): Rounds =>
  ofRounds(rounds.map(({ load }) => figure(load)))

/** Of the live processes' own histograms under the load. */
export type LivePhases = Readonly<Record<string, NonNullable<ReturnType<typeof describe>>>>

/** What a histogram family gained between two scrapes. */
export function gained(before: string, after: string, name: string): LivePhases {
  const earlier = histogramsOf(before, name, 'phase')
  const rows = [...histogramsOf(after, name, 'phase')].flatMap(([phase, histogram]: [string, Histogram]) => {
    const described = describe(since(earlier.get(phase), histogram))
    return described === undefined ? [] : [[phase, described] as const]
  })
  return Object.fromEntries(rows)
}
