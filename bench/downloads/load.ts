import type { Host } from '../../src/lab/index.js'
import { compiled } from '../compile.js'
import type { Target } from '../peers/peer.js'

export interface LoadPlan {
  readonly targets: readonly Target[]
  /** Of the object that everybody asks for. */
  readonly bytes: number
  /** At once; each asks once, closes, and is followed by another. */
  readonly connections: number
  readonly milliseconds: number
  /** Before that, and counted only in the client's CPU and what was lost. Default 0. */
  readonly warmUpMs?: number
}

export interface Load {
  readonly pid: number
  readonly seconds: number
  /** Received, heads included. */
  readonly bytes: number
  /** Whole ones with status 200. */
  readonly answers: number
  /** Connections that ended otherwise. */
  readonly lost: number
  /** The client's own, with the softirq that came while it ran. */
  readonly cpuSeconds: number
}

export const targetArgs = (targets: readonly Target[]): string[] =>
  targets.map(({ address, port, host }) => `${address}:${port}:${host}`)

/** A load from that host. @throws BatonError BATON_LAB_COMMAND @throws Error when connections were lost */
export async function load(host: Host, plan: LoadPlan): Promise<Load> {
  const { targets, bytes, connections, milliseconds, warmUpMs = 0 } = plan
  const figures = [warmUpMs, milliseconds, connections, bytes].map(String)
  const printed = await host.run(compiled('downloads/load.c'), [...figures, ...targetArgs(targets)], {
    timeoutMs: warmUpMs + milliseconds + 20_000,
  })
  const result = JSON.parse(printed) as Load
  if (result.lost > 0) {
    const whom = `${targets[0]?.host} at ${targets[0]?.address}`
    throw new Error(
      `${result.lost} connections to ${whom} were lost beside ${result.answers} answers of ${bytes} bytes`,
    )
  }
  return result
}
