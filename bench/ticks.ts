/** A place on an axis that has its name. */
export interface Tick {
  readonly at: number
  readonly label: string
}

/** 1, 2, 5, 10 … in a linear axis from 0, at least to `most`. */
export function linearTicks(most: number, format: (value: number) => string = String): Tick[] {
  const raw = most / 4
  const power = 10 ** Math.floor(Math.log10(raw))
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= raw) ?? raw
  const count = Math.ceil(most / step - 1e-9)
  return Array.from({ length: count + 1 }, (_, index) => {
    const at = Number((index * step).toPrecision(12))
    return { at, label: format(at) }
  })
}

/** Powers of ten from the one below `least` to the one above `most`. */
export function logTicks(least: number, most: number, format: (value: number) => string = String): Tick[] {
  const from = Math.floor(Math.log10(least) + 1e-9)
  const to = Math.max(from + 1, Math.ceil(Math.log10(most) - 1e-9))
  return Array.from({ length: to - from + 1 }, (_, index) => {
    const at = Number((10 ** (from + index)).toPrecision(12))
    return { at, label: format(at) }
  })
}
