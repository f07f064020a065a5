import type { Backend } from './backend.js'
import type { Balancer } from './balancer.js'

/** Fewest connections for its weight; equals take turns, so that an idle pool does not load its first backend only. */
export function leastConnections(): Balancer {
  let turn = 0
  return (candidates) => {
    turn = (turn + 1) % candidates.length
    let best = candidates[turn] as Backend
    let bestLoad = best.load / best.weight
    for (let step = 1; step < candidates.length && bestLoad > 0; step++) {
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
