/** One line of the Prometheus text format. */
interface Sample {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

function samples(text: string): Sample[] {
  return text.split('\n').flatMap((line) => {
    const match = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)/.exec(line)
    if (match === null) return []
    const [, name = '', labelText = '', value = ''] = match
    const labels: Record<string, string> = {}
    for (const [, key = '', text = ''] of labelText.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)) labels[key] = text
    return [{ name, labels, value: Number(value.replace('Inf', 'Infinity')) }]
  })
}

/** @throws RangeError when there is no such sample */
export function counterOf(text: string, name: string, labels: Readonly<Record<string, string>> = {}): number {
  const found = samples(text).find(
    (sample) =>
      sample.name === name && Object.entries(labels).every(([key, value]) => sample.labels[key] === value),
  )
  if (found === undefined) throw new RangeError(`there is no ${name} ${JSON.stringify(labels)}`)
  return found.value
}

/** Of one phase, in seconds: cumulative counts by upper bound, the last one Infinity. */
export interface Histogram {
  readonly sum: number
  readonly count: number
  readonly buckets: readonly { readonly le: number; readonly count: number }[]
}

/** A histogram family by the value of its label. */
export function histogramsOf(text: string, name: string, label: string): Map<string, Histogram> {
  const found = new Map<string, { sum: number; count: number; buckets: { le: number; count: number }[] }>()
  for (const sample of samples(text)) {
    if (!sample.name.startsWith(`${name}_`)) continue
    const key = sample.labels[label] ?? ''
    const one = found.get(key) ?? { sum: 0, count: 0, buckets: [] }
    found.set(key, one)
    const part = sample.name.slice(name.length + 1)
    if (part === 'sum') one.sum = sample.value
    else if (part === 'count') one.count = sample.value
    else if (part === 'bucket') {
      const le = sample.labels.le ?? ''
      one.buckets.push({ le: le === '+Inf' ? Number.POSITIVE_INFINITY : Number(le), count: sample.value })
    }
  }
  return found
}

/** What came between two scrapes. */
export function since(before: Histogram | undefined, after: Histogram): Histogram {
  return {
    sum: after.sum - (before?.sum ?? 0),
    count: after.count - (before?.count ?? 0),
    buckets: after.buckets.map(({ le, count }, index) => ({
      le,
      count: count - (before?.buckets[index]?.count ?? 0),
    })),
  }
}

/** Mean, and a quantile by linear interpolation within its bucket, both in µs; undefined when nothing was observed. */
export function describe({
  sum,
  count,
  buckets,
}: Histogram): { meanUs: number; medianUs: number; p99Us: number } | undefined {
  if (count === 0) return undefined
  const at = (share: number): number => {
    const wanted = share * count
    let low = 0
    let below = 0
    for (const { le, count: cumulative } of buckets) {
      if (cumulative >= wanted) {
        if (le === Number.POSITIVE_INFINITY) return low * 1e6
        const inside = (wanted - below) / Math.max(1, cumulative - below)
        return (low + (le - low) * inside) * 1e6
      }
      low = le
      below = cumulative
    }
    return low * 1e6
  }
  return { meanUs: (sum / count) * 1e6, medianUs: at(0.5), p99Us: at(0.99) }
}
