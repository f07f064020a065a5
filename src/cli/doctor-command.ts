import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { detectKind, loadAgentConfig, loadFrontendConfig } from '../config/index.js'
import { runDoctor } from './doctor/index.js'
import { configOption } from './options.js'

/** `baton doctor [-c FILE] [--json]`: exit 1 if any check fails. */
export async function run(argv: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...argv],
    options: { ...configOption, json: { type: 'boolean', default: false } },
  })
  const { config: file, json } = values
  if (file === undefined) return runDoctor({ json })
  if (detectKind(readFileSync(file, 'utf8')) === 'agent') {
    return runDoctor({ json, agent: loadAgentConfig(file) })
  }
  return runDoctor({ json, frontend: loadFrontendConfig(file) })
}
