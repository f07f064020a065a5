import type { Backend } from './backend.js'

/** Picks one of a pool's usable backends. Called once a connection, with a list that is never empty. */
export type Balancer = (candidates: readonly Backend[]) => Backend

/**
 * Smooth weighted round robin (as nginx has it): each turn every candidate gains its weight, the richest is taken and
 * pays the sum. With equal weights it is a plain rotation; 5:1:1 comes out as a a b a c a a.
 */
export function roundRobin(): Balancer {
  // Side by side, since the candidates are nearly always those of the turn before: looked up by name, a hundred of them
  // cost more than the rest of the choice.
  let known: readonly Backend[] = []
  let credit: number[] = []
  /** Of those that are no candidates just now. */
  const away = new Map<string, number>()
  const change = (candidates: readonly Backend[]) => {
    for (const [index, { id }] of known.entries()) away.set(id, credit[index] ?? 0)
    credit = candidates.map(({ id }) => {
      const kept = away.get(id) ?? 0
      away.delete(id)
      return kept
    })
    known = candidates
    // Backends that left must not be remembered for ever.
    if (away.size > candidates.length + 16) away.clear()
  }
  return (candidates) => {
    if (!areSame(known, candidates)) change(candidates)
    let best = 0
    let bestCredit = Number.NEGATIVE_INFINITY
    let sum = 0
    for (let index = 0; index < candidates.length; index++) {
      const { weight } = candidates[index] as Backend
      const now = (credit[index] ?? 0) + weight
      credit[index] = now
      sum += weight
      if (now > bestCredit) {
        best = index
        bestCredit = now
      }
    }
    credit[best] = bestCredit - sum
    return candidates[best] as Backend
  }
}

function areSame(left: readonly Backend[], right: readonly Backend[]): boolean {
  if (left.length !== right.length) return false
  for (let index = 0; index < left.length; index++) if (left[index] !== right[index]) return false
  return true
}

/** Fewest connections for its weight; equals take turns, so that an idle pool does not load its first backend only. */
export function leastConnections(): Balancer {
  let turn = 0
  return (candidates) => {
    turn = (turn + 1) % candidates.length
    let best = candidates[turn] as Backend
    let bestLoad = best.load / best.weight
    for (let step = 1; step < candidates.length; step++) {
      const candidate = candidates[(turn + step) % candidates.length] as Backend
      const load = candidate.load / candidate.weight
      if (load < bestLoad) {
        best = candidate
        bestLoad = load
      }
    }
    return best
  }
}

const makers = { roundRobin, leastConnections }
export type Balance = keyof typeof makers

/** A balancer with a memory of its own. */
export function createBalancer(balance: Balance): Balancer {
  return makers[balance]()
}
