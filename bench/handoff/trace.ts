import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { firstBytes } from './first-byte.js'
import { load } from './load.js'
import { counterOf } from './scrape.js'
import type { Stage } from './stage.js'
import { agentRules, type Calls, countedCalls, frontendRules, perHandoff, sortCalls } from './trace-rules.js'

const roles = ['frontend', 'inline'] as const
/** Between two handoffs, so that one is over before the next. */
const PAUSE_MS = 8
/** Until strace holds all threads, and until it has written everything. */
const ATTACH_MS = 400

/** Runs `act` with strace at frontend and agent; gives what it wrote about each. */
async function traced(
  stage: Stage,
  flags: readonly string[],
  act: () => Promise<unknown>,
): Promise<[string, string]> {
  const files = roles.map((role) => stage.file(`strace-${role}`))
  const straces = roles.map((role, index) => {
    const args = ['-f', ...flags, '-o', files[index]!, '-p', String(stage.pid(role))]
    return stage.frontendHost.spawn('strace', args)
  })
  await Promise.all(straces.map((strace) => strace.waitFor({ output: /attached/, timeoutMs: 5000 })))
  await sleep(ATTACH_MS)
  await act()
  await sleep(ATTACH_MS)
  await Promise.all(straces.map((strace) => strace.stop()))
  const [frontend = '', agent = ''] = files.map((file) => readFileSync(file, 'utf8'))
  return [frontend, agent]
}

async function counted(stage: Stage, act: () => Promise<unknown>): Promise<number> {
  const read = async () =>
    counterOf(await stage.metrics('frontend'), 'baton_handoffs_total', { result: 'adopted' })
  const before = await read()
  await act()
  return (await read()) - before
}

export interface SystemCalls {
  /** Of the traced ones. */
  readonly handoffs: number
  /** Per handoff. */
  readonly frontend: Calls
  readonly agent: Calls
}

/** System calls per handoff by phase, handoffs one after the other: nothing is shared between two. */
export async function traceSingle(stage: Stage, count: number): Promise<SystemCalls> {
  let traces: readonly [string, string] = ['', '']
  const handoffs = await counted(stage, async () => {
    traces = await traced(stage, ['-s', '12'], () =>
      firstBytes(stage, [stage.way('inline')], count, PAUSE_MS),
    )
  })
  const [frontend, agent] = traces
  return {
    handoffs,
    frontend: perHandoff(sortCalls(frontend, stage.pid('frontend'), frontendRules), handoffs),
    agent: perHandoff(sortCalls(agent, stage.pid('inline'), agentRules), handoffs),
  }
}

export interface LoadedCalls {
  readonly handoffs: number
  readonly frontend: Readonly<Record<string, number>>
  readonly agent: Readonly<Record<string, number>>
}

/** The same by name under a load, where one call often serves many handoffs. strace slows everything several times. */
export async function traceLoad(stage: Stage, seconds: number): Promise<LoadedCalls> {
  let handoffs = 0
  const [frontend, agent] = await traced(stage, ['-c'], async () => {
    handoffs = (await load(stage, stage.way('inline'), seconds)).handoffs
  })
  const divided = (output: string) => perHandoff({ all: countedCalls(output) }, handoffs).all ?? {}
  return { handoffs, frontend: divided(frontend), agent: divided(agent) }
}
