import type { Backend } from './backend.js'
import type { Balancer } from './balancer.js'

/** Longest cycle that is remembered, in turns. */
const MAX_CYCLE = 8192

/**
 * Smooth weighted round robin (as nginx has it): each turn every candidate gains its weight, the richest is taken and
 * pays the sum. With equal weights it is a plain rotation; 5:1:1 comes out as a a b a c a a.
 *
 * After as many turns as the weights have in sum, over their greatest common divisor, the credits are what they were:
 * from then on the turns repeat, and are only read off.
 */
export function roundRobin(): Balancer {
  let known: readonly Backend[] = []
  let turns = new Turns([], [])
  /** Credits of those that are no candidates just now. */
  const away = new Map<string, number>()
  const change = (candidates: readonly Backend[]) => {
    const credit = turns.credits()
    for (const [index, { id }] of known.entries()) away.set(id, credit[index] as number)
    const kept = candidates.map(({ id }) => {
      const own = away.get(id) ?? 0
      away.delete(id)
      return own
    })
    turns = new Turns(
      candidates.map(({ weight }) => weight),
      kept,
    )
    // Backends that left must not be remembered for ever.
    if (away.size > candidates.length + 16) away.clear()
  }
  return (candidates) => {
    if (candidates !== known) {
      if (!turns.areOf(known, candidates)) change(candidates)
      known = candidates
    }
    return candidates[turns.next()] as Backend
  }
}

/** The order in which candidates of given weights have their turns. */
class Turns {
  readonly #weights: readonly number[]
  readonly #sum: number
  readonly #length: number
  /** At the beginning of the cycle. */
  #first: number[]
  /** Now; while a cycle is only read off, as at its beginning. */
  #credit: number[]
  /** Whose turns they are. */
  #cycle: number[] = []
  #at = 0
  #repeats = false

  constructor(weights: readonly number[], credits: readonly number[]) {
    this.#weights = weights
    this.#sum = weights.reduce((sum, weight) => sum + weight, 0)
    this.#length = this.#sum / weights.reduce(greatestCommonDivisor, 0)
    this.#first = [...credits]
    this.#credit = [...credits]
  }

  /** Whether another list is the same. */
  areOf(known: readonly Backend[], candidates: readonly Backend[]): boolean {
    if (known.length !== candidates.length) return false
    for (let index = 0; index < known.length; index++) {
      const candidate = candidates[index] as Backend
      if (known[index] !== candidate || this.#weights[index] !== candidate.weight) return false
    }
    return true
  }

  next(): number {
    if (this.#repeats) {
      const next = this.#cycle[this.#at] as number
      this.#at = this.#at + 1 === this.#length ? 0 : this.#at + 1
      return next
    }
    const next = this.#turn()
    if (this.#length > MAX_CYCLE) return next
    this.#cycle.push(next)
    if (this.#cycle.length === this.#length) {
      // Credits that candidates brought with them may take more than one cycle to even out.
      if (this.#first.every((credit, index) => credit === this.#credit[index])) this.#repeats = true
      else {
        this.#first = [...this.#credit]
        this.#cycle = []
      }
    }
    return next
  }

  credits(): readonly number[] {
    const credits = [...this.#credit]
    for (let turn = 0; turn < this.#at; turn++) (credits[this.#cycle[turn] as number] as number) -= this.#sum
    return credits.map((credit, index) => credit + this.#at * (this.#weights[index] as number))
  }

  #turn(): number {
    const credit = this.#credit
    let best = 0
    let most = Number.NEGATIVE_INFINITY
    for (let index = 0; index < credit.length; index++) {
      const now = (credit[index] as number) + (this.#weights[index] as number)
      credit[index] = now
      if (now > most) {
        best = index
        most = now
      }
    }
    credit[best] = most - this.#sum
    return best
  }
}

function greatestCommonDivisor(left: number, right: number): number {
  return right === 0 ? left : greatestCommonDivisor(right, left % right)
}
