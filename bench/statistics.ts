/** What many measurements of one thing say. */
export interface Summary {
  readonly count: number
  readonly median: number
  readonly p99: number
  readonly min: number
  readonly max: number
}

/** By linear interpolation between the two nearest. @param share 0 to 1 @throws RangeError when there are no values */
export function quantile(values: readonly number[], share: number): number {
  if (values.length === 0) throw new RangeError('there is nothing to take a quantile of')
  const sorted = Float64Array.from(values).sort()
  const place = (sorted.length - 1) * share
  const below = Math.floor(place)
  const low = sorted[below] ?? 0
  const high = sorted[Math.min(below + 1, sorted.length - 1)] ?? low
  return low + (high - low) * (place - below)
}

export const median = (values: readonly number[]): number => quantile(values, 0.5)

/** @throws RangeError when there are no values */
export function summary(values: readonly number[]): Summary {
  return {
    count: values.length,
    median: median(values),
    p99: quantile(values, 0.99),
    min: quantile(values, 0),
    max: quantile(values, 1),
  }
}

/** A figure of several rounds: their median, and the lowest and highest round. */
export interface Rounds {
  readonly median: number
  readonly min: number
  readonly max: number
  readonly rounds: readonly number[]
}

export function ofRounds(rounds: readonly number[]): Rounds {
  const { median: middle, min, max } = summary(rounds)
  return { median: middle, min, max, rounds }
}

/** Three significant digits, no exponent. */
export function short(value: number): string {
  if (value === 0) return '0'
  const digits = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))))
  return value.toFixed(Math.min(digits, 3))
}

/** `median (lowest–highest)` of rounds. */
export function spread({ median: middle, min, max }: Rounds): string {
  return `${short(middle)} (${short(min)}–${short(max)})`
}
