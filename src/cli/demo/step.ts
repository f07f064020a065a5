/** What a step measured, by name; shown as they are. */
export type Figures = Record<string, string | number | boolean>

/** One step of the tour: what it does, and what must hold. */
export interface Step {
  readonly name: string
  /** One line for the terminal: what is about to be shown. */
  readonly title: string
  /** Throws (see {@link expect}) when something did not hold. */
  run(): Promise<Figures>
}

export interface StepResult {
  readonly name: string
  readonly ok: boolean
  readonly durationMs: number
  readonly figures: Figures
  readonly error?: string
}

/** A claim of the tour that did not hold. */
export class ClaimFailed extends Error {
  override readonly name = 'ClaimFailed'
}

/** @throws ClaimFailed naming the claim */
export function expect(holds: boolean, claim: string, seen?: unknown): asserts holds {
  if (holds) return
  throw new ClaimFailed(seen === undefined ? claim : `${claim}; seen: ${JSON.stringify(seen)}`)
}

/** Runs a step; an error is a result too. */
export async function runStep(step: Step): Promise<StepResult> {
  const startedAtMs = performance.now()
  const done = (ok: boolean, figures: Figures, error?: string): StepResult => ({
    name: step.name,
    ok,
    durationMs: Math.round(performance.now() - startedAtMs),
    figures,
    ...(error === undefined ? {} : { error }),
  })
  try {
    return done(true, await step.run())
  } catch (error) {
    return done(false, {}, error instanceof Error ? error.message : String(error))
  }
}
