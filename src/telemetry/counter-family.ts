import { Counter, type Registry } from 'prom-client'

/** A number that only grows. Add to `value` on the hot path; prom-client sees it when somebody scrapes. */
export interface Tally {
  value: number
}

/**
 * A counter with labels whose children are plain numbers: an increment costs an addition, where prom-client's own
 * hashes its labels every time.
 */
export class CounterFamily<Labels extends readonly string[]> {
  readonly #children = new Map<string, { labels: Record<string, string>; tally: Tally }>()
  readonly #labelNames: Labels
  /** The child that was asked for last, mostly asked for again: found without making a key. */
  #last: { readonly values: readonly string[]; readonly tally: Tally } | undefined

  constructor(registry: Registry, name: string, help: string, labelNames: Labels) {
    this.#labelNames = labelNames
    const children = this.#children
    new Counter<string>({
      name,
      help,
      labelNames: [...labelNames],
      registers: [registry],
      collect() {
        this.reset()
        for (const { labels, tally } of children.values()) this.inc(labels, tally.value)
      },
    })
    // Without labels there is one child, shown as 0 from the start.
    if (labelNames.length === 0) this.#make('', [])
  }

  /** The number for these label values, in the order of the label names; made at first use. Keep it for hot paths. */
  child(...values: { readonly [Index in keyof Labels]: string }): Tally {
    const last = this.#last
    if (last !== undefined && areSame(last.values, values)) return last.tally
    const key = values.length === 1 ? String(values[0]) : values.join('\0')
    const tally = this.#children.get(key)?.tally ?? this.#make(key, values)
    this.#last = { values, tally }
    return tally
  }

  #make(key: string, values: readonly string[]): Tally {
    const labels = Object.fromEntries(this.#labelNames.map((name, index) => [name, values[index] ?? '']))
    const tally = { value: 0 }
    this.#children.set(key, { labels, tally })
    return tally
  }

  /** Adds one. */
  inc(...values: { readonly [Index in keyof Labels]: string }): void {
    this.child(...values).value++
  }

  /** The counts by their label values, several joined by a comma. */
  totals(): Record<string, number> {
    const totals: Record<string, number> = {}
    for (const { labels, tally } of this.#children.values())
      totals[Object.values(labels).join(',')] = tally.value
    return totals
  }
}

function areSame(some: readonly string[], others: readonly string[]): boolean {
  for (let index = 0; index < others.length; index++) if (some[index] !== others[index]) return false
  return some.length === others.length
}
