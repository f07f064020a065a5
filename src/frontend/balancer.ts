import type { Backend } from './backend.js'

/**
 * Picks one of a pool's usable backends. Called once a connection, with a list that is never empty; the same list again
 * has the same backends with the same weights.
 */
export type Balancer = (candidates: readonly Backend[]) => Backend
