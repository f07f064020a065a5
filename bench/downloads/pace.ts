import type { Host, LabProcess } from '../../src/lab/index.js'
import { compiled } from '../compile.js'
import type { Target } from '../peers/peer.js'
import { targetArgs } from './load.js'

export interface PacePlan {
  readonly targets: readonly Target[]
  readonly downloads: number
  /** Of each object. */
  readonly bytes: number
  /** What each takes at most in each tick; twice that is its receive buffer. */
  readonly bytesPerTick: number
  readonly tickMs: number
  /** From their beginning; then it is told how they are. */
  readonly durationMs: number
}

/** How the downloads are at the end. */
export interface Paced {
  readonly whole: number
  /** Not at their end, but with bytes in the last second. */
  readonly flowing: number
  readonly stuck: number
  readonly reset: number
  /** Closed before their end. */
  readonly early: number
  /** Never connected. */
  readonly refused: number
  readonly bytes: number
  /** Of each that was not lost the longest time without a byte; not below tickMs. */
  readonly stallsMs: readonly number[]
}

export const lostOf = ({ stuck, reset, early, refused }: Paced): number => stuck + reset + early + refused

/** Slow downloads under way, all of which have begun. @throws BatonError BATON_LAB_TIMEOUT, BATON_LAB_EXITED */
export async function pace(host: Host, plan: PacePlan): Promise<{ ended(): Promise<Paced> }> {
  const { targets, downloads, bytes, bytesPerTick, tickMs, durationMs } = plan
  const figures = [downloads, bytes, bytesPerTick, tickMs, durationMs].map(String)
  const program = host.spawn(compiled('downloads/pace.c'), [...figures, ...targetArgs(targets)])
  await program.waitFor({ output: /^begun$/m, timeoutMs: durationMs + 5000 })
  return { ended: () => outcome(program) }
}

async function outcome(program: LabProcess): Promise<Paced> {
  await program.exited
  const last = /^\{.*\}$/m.exec(program.output)?.[0]
  if (last === undefined) throw new Error(`the downloads ended without a result:\n${program.output}`)
  return JSON.parse(last) as Paced
}
