import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { nodeOptions } from '../../src/lab/index.js'
import type { Summary } from '../statistics.js'
import type { PhasesPlan } from './phases-main.js'
import { PHASES_VIP, type Stage } from './stage.js'

const program = fileURLToPath(new URL('./phases-main.js', import.meta.url))

/** Every phase by itself, in µs by name. @throws BatonError BATON_LAB_EXITED with what the program said */
export async function measurePhases(
  stage: Stage,
  counts: { readonly single: number; readonly sixteen: number },
): Promise<Record<string, Summary>> {
  const name = 'phases'
  const plan: PhasesPlan = {
    ...counts,
    clientNetns: stage.net.client.path,
    backendNetns: stage.phasesBackend.path,
    address: PHASES_VIP,
    nextHop: stage.phasesBackend.ipv4,
    pinPath: stage.pinPath(name),
    journalPath: stage.file('phases.journal'),
    token: readFileSync(stage.file('token'), 'utf8').trim(),
  }
  const run = stage.start(name, stage.phasesFrontend, process.execPath, [
    ...nodeOptions,
    program,
    JSON.stringify(plan),
  ])
  const match = await run.waitFor({ output: /^\{"[^\n]*\}$/m, timeoutMs: 15_000 })
  await run.exited
  return JSON.parse(match?.[0] ?? '') as Record<string, Summary>
}
