import { parseArgs } from 'node:util'
import { agentFromConfig } from '../backend-agent/index.js'
import { loadAgentConfig } from '../config/index.js'
import { runDaemon } from './daemon.js'
import { configOption, needConfig } from './options.js'

/** `baton agent -c FILE`: runs until SIGTERM or SIGINT, then drains. */
export async function run(argv: readonly string[]): Promise<number> {
  const { values } = parseArgs({ args: [...argv], options: configOption })
  return runDaemon(agentFromConfig(loadAgentConfig(needConfig(values.config, 'agent'))))
}
