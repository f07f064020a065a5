/** `fail`: Baton will not work here as it is. `warn`: it may not, or worse than it could. */
export type Verdict = 'ok' | 'warn' | 'fail'

/** One line of the doctor's table. */
export interface Finding {
  /** The heading it stands under: kernel, host, network, peers. */
  readonly area: string
  readonly name: string
  readonly verdict: Verdict
  /** What was found. */
  readonly found: string
  /** What to do about it; null where nothing is to be done. */
  readonly fix: string | null
}

/** Makes the findings of one area. */
export class Area {
  readonly #area: string
  readonly findings: Finding[] = []

  constructor(area: string) {
    this.#area = area
  }

  ok(name: string, found: string): void {
    this.findings.push({ area: this.#area, name, verdict: 'ok', found, fix: null })
  }

  warn(name: string, found: string, fix: string): void {
    this.findings.push({ area: this.#area, name, verdict: 'warn', found, fix })
  }

  fail(name: string, found: string, fix: string): void {
    this.findings.push({ area: this.#area, name, verdict: 'fail', found, fix })
  }

  /** By a verdict that was decided elsewhere; the fix is dropped where all is well. */
  add(verdict: Verdict, name: string, found: string, fix: string): void {
    if (verdict === 'ok') this.ok(name, found)
    else this[verdict](name, found, fix)
  }
}

/** The message of whatever was thrown. */
export function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
