import { parseArgs } from 'node:util'
import { checkFile, formatProblem, loadAgentConfig, loadFrontendConfig } from '../config/index.js'
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
  const { kind, problems } = checkFile(file)
  switch (kind) {
    case 'agent':
      return runDoctor({ json, agent: loadAgentConfig(file) })
    case 'frontend':
      return runDoctor({ json, frontend: loadFrontendConfig(file) })
    case undefined:
      for (const problem of problems) process.stderr.write(`${formatProblem(problem)}\n`)
      return 1
    default:
      return kind satisfies never
  }
}
