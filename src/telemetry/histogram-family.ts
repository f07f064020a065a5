import { Histogram, type Registry } from 'prom-client'

/** A distribution of seconds, as plain numbers. */
export class Distribution {
  readonly #bounds: readonly number[]
  /** One more than bounds: the last counts what is above all of them. Not cumulative. */
  readonly counts: Float64Array
  sum = 0

  constructor(bounds: readonly number[]) {
    this.#bounds = bounds
    this.counts = new Float64Array(bounds.length + 1)
  }

  observe(seconds: number): void {
    let bucket = 0
    while (bucket < this.#bounds.length && seconds > (this.#bounds[bucket] ?? 0)) bucket++
    this.counts[bucket] = (this.counts[bucket] ?? 0) + 1
    this.sum += seconds
  }
}

/** 5 µs to 10 s: what a handoff and its phases take. */
export const PHASE_BUCKETS_SECONDS: readonly number[] = [
  5e-6, 1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2, 5e-2, 0.1, 0.25, 0.5, 1,
  2.5, 5, 10,
]

/** A histogram with one label whose children are plain numbers: an observation costs a short search, no hashing. */
export class HistogramFamily<Label extends string> {
  readonly #children = new Map<string, Distribution>()
  readonly #bounds: readonly number[]

  constructor(registry: Registry, name: string, help: string, label: Label, bounds = PHASE_BUCKETS_SECONDS) {
    this.#bounds = bounds
    registry.registerMetric(new PlainHistogram(name, help, label, bounds, this.#children))
  }

  /** The distribution for a value of the label; made at first use. Keep it for hot paths. */
  child(value: string): Distribution {
    let child = this.#children.get(value)
    if (child === undefined) {
      child = new Distribution(this.#bounds)
      this.#children.set(value, child)
    }
    return child
  }
}

/** A sample in the form in which prom-client 15's own histogram gives it. */
interface Sample {
  readonly metricName: string
  readonly labels: Record<string, string | number>
  readonly sharedLabels: Readonly<Record<string, string>>
  readonly value: number
}

/**
 * What prom-client asks at a scrape, answered from the plain numbers: both its text form and its get() go through
 * getForPromString, which its types leave out.
 */
class PlainHistogram extends Histogram<string> {
  readonly #header: { readonly name: string; readonly help: string; readonly type: 'histogram' }
  readonly #samples: () => Sample[]

  constructor(
    name: string,
    help: string,
    label: string,
    bounds: readonly number[],
    children: ReadonlyMap<string, Distribution>,
  ) {
    super({ name, help, labelNames: [label], buckets: [...bounds], registers: [] })
    this.#header = { name, help, type: 'histogram' }
    this.#samples = () =>
      [...children].flatMap(([value, child]) => samples(name, { [label]: value }, bounds, child))
  }

  async getForPromString() {
    return { ...this.#header, aggregator: 'sum', values: this.#samples() }
  }
}

function samples(
  name: string,
  sharedLabels: Readonly<Record<string, string>>,
  bounds: readonly number[],
  { counts, sum }: Distribution,
): Sample[] {
  const rows: Sample[] = []
  let total = 0
  for (const [index, count] of counts.entries()) {
    total += count
    rows.push({
      metricName: `${name}_bucket`,
      labels: { le: bounds[index] ?? '+Inf' },
      sharedLabels,
      value: total,
    })
  }
  rows.push({ metricName: `${name}_sum`, labels: {}, sharedLabels, value: sum })
  rows.push({ metricName: `${name}_count`, labels: {}, sharedLabels, value: total })
  return rows
}
