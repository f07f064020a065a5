import { type Summary, summary } from '../statistics.js'

/** Collects microseconds under names. */
export class Stopwatch {
  readonly #series = new Map<string, number[]>()

  /** Adds what has passed since `startedAtMs`, shared by `share` items. */
  lap(name: string, startedAtMs: number, share = 1): void {
    this.add(name, ((performance.now() - startedAtMs) * 1000) / share)
  }

  add(name: string, us: number): void {
    const series = this.#series.get(name)
    if (series === undefined) this.#series.set(name, [us])
    else series.push(us)
  }

  /** Forgets everything: the warm-up is over. */
  clear(): void {
    this.#series.clear()
  }

  summaries(): Record<string, Summary> {
    return Object.fromEntries([...this.#series].map(([name, series]) => [name, summary(series)]))
  }
}
