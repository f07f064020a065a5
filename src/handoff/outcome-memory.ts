import type { HandoffId } from './messages.js'

export type RememberedOutcome = 'adopted' | 'refused' | 'ended' | 'tombstone'

interface Generation<K> {
  readonly bornAt: number
  readonly byOwner: Map<K, Map<HandoffId, RememberedOutcome>>
  size: number
}

const GENERATIONS = 3

/**
 * What became of handoffs, for a while and up to a bound. Three generations: two together span the time to remember,
 * the newest takes what comes; so forgetting costs nothing per handoff. Times are of one monotonic clock, in ms.
 */
export class OutcomeMemory<K> {
  readonly #memoryMs: number
  readonly #maxPerGeneration: number
  /** Newest first. */
  #generations: Generation<K>[]
  #forgottenUpTo = Number.NEGATIVE_INFINITY

  constructor(memoryMs: number, maxRemembered: number, now: number) {
    this.#memoryMs = memoryMs
    this.#maxPerGeneration = Math.max(1, Math.floor(maxRemembered / GENERATIONS))
    this.#generations = [{ bornAt: now, byOwner: new Map(), size: 0 }]
  }

  /** Everything that was set after this moment is still remembered. */
  get forgottenUpTo(): number {
    return this.#forgottenUpTo
  }

  get size(): number {
    return this.#generations.reduce((sum, generation) => sum + generation.size, 0)
  }

  get(owner: K, id: HandoffId): RememberedOutcome | undefined {
    for (const generation of this.#generations) {
      const outcome = generation.byOwner.get(owner)?.get(id)
      if (outcome !== undefined) return outcome
    }
    return undefined
  }

  set(owner: K, id: HandoffId, outcome: RememberedOutcome, now: number): void {
    let newest = this.#generations[0]!
    if (now - newest.bornAt >= this.#memoryMs / 2 || newest.size >= this.#maxPerGeneration)
      newest = this.#turn(now)
    let outcomes = newest.byOwner.get(owner)
    if (outcomes === undefined) {
      outcomes = new Map()
      newest.byOwner.set(owner, outcomes)
    }
    const before = outcomes.size
    outcomes.set(id, outcome)
    newest.size += outcomes.size - before
  }

  /** Whether anything is remembered of this owner. */
  knows(owner: K): boolean {
    return this.#generations.some((generation) => generation.byOwner.has(owner))
  }

  #turn(now: number): Generation<K> {
    const newest: Generation<K> = { bornAt: now, byOwner: new Map(), size: 0 }
    this.#generations.unshift(newest)
    if (this.#generations.length > GENERATIONS) {
      this.#generations.pop()
      // What was forgotten is as young as the birth of the generation after it.
      this.#forgottenUpTo = this.#generations[GENERATIONS - 1]!.bornAt
    }
    return newest
  }
}
