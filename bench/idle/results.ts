import type { PeerName } from '../peers/peer.js'
import { atMost, type Goal } from '../report.js'
import type { Memory } from './memory.js'

/** One peer with that many connections held by its clients. */
export interface Measurement extends Memory {
  readonly peer: PeerName
  readonly connections: number
  /** Of those, the TCP connections that the frontend's own kernel has. */
  readonly sockets: number
}

export const peersOf = (measured: readonly Measurement[]): PeerName[] => [
  ...new Set(measured.map(({ peer }) => peer)),
]

export const stepsOf = (measured: readonly Measurement[], peer: PeerName): Measurement[] =>
  measured.filter((one) => one.peer === peer)

export type Part = 'userBytes' | 'kernelBytes'

/** Bytes that one more connection costs: the slope of the line through all steps (least squares). */
export function perConnection(steps: readonly Measurement[], parts: readonly Part[]): number {
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length
  const y = steps.map((step) => parts.reduce((sum, part) => sum + step[part], 0))
  const x = steps.map(({ connections }) => connections)
  const [meanX, meanY] = [mean(x), mean(y)]
  const across = x.reduce((sum, value, index) => sum + (value - meanX) * ((y[index] ?? 0) - meanY), 0)
  return across / x.reduce((sum, value) => sum + (value - meanX) ** 2, 0)
}

export const bothParts: readonly Part[] = ['userBytes', 'kernelBytes']

export function judge(measured: readonly Measurement[]): Goal[] {
  const steps = stepsOf(measured, 'baton-adopt')
  const held = steps.at(-1)?.connections ?? 0
  const bytes = perConnection(steps, bothParts)
  return [atMost(`memory of the frontend by connection, to ${held}`, bytes, 'bytes', 300)]
}
