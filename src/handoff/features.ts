import type { Hello } from './messages.js'

const SINCE = 'since:'

/**
 * The feature of an agent that knows of every connection which processes of its id took from that epoch on, also of those
 * that outlive their process: it tells of each end, and nothing ends with a process.
 */
export function sinceFeature(epoch: number): string {
  return `${SINCE}${epoch}`
}

/** That epoch; undefined where the agent knows of its own connections only. */
export function readSince({ features }: Hello): number | undefined {
  const digits = features.find((feature) => feature.startsWith(SINCE))?.slice(SINCE.length)
  return digits !== undefined && /^\d{1,15}$/.test(digits) ? Number(digits) : undefined
}
