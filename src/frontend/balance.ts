import type { Balancer } from './balancer.js'
import { leastConnections } from './least-connections.js'
import { roundRobin } from './round-robin.js'

const makers = { roundRobin, leastConnections }
export type Balance = keyof typeof makers

/** A balancer with a memory of its own. */
export function createBalancer(balance: Balance): Balancer {
  return makers[balance]()
}
