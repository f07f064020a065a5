import type { Backend } from './backend.js'

/** Picks one of a pool's usable backends. Called once a connection, with a list that is never empty. */
export type Balancer = (candidates: readonly Backend[]) => Backend

/**
 * Smooth weighted round robin (as nginx has it): each turn every candidate gains its weight, the richest is taken and
 * pays the sum. With equal weights it is a plain rotation; 5:1:1 comes out as a a b a c a a.
 */
export function roundRobin(): Balancer {
  const credit = new Map<string, number>()
  return (candidates) => {
    let best = candidates[0] as Backend
    let bestCredit = Number.NEGATIVE_INFINITY
    let sum = 0
    for (const candidate of candidates) {
      const now = (credit.get(candidate.id) ?? 0) + candidate.weight
      credit.set(candidate.id, now)
      sum += candidate.weight
      if (now > bestCredit) {
        best = candidate
        bestCredit = now
      }
    }
    credit.set(best.id, bestCredit - sum)
    // Backends that left must not be remembered for ever.
    if (credit.size > candidates.length * 2 + 16) {
      const known = new Set(candidates.map((candidate) => candidate.id))
      for (const id of credit.keys()) if (!known.has(id)) credit.delete(id)
    }
    return best
  }
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
