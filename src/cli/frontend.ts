import { parseArgs } from 'node:util'
import { loadFrontendConfig } from '../config/index.js'
import { frontendFromConfig } from '../frontend/index.js'
import { runDaemon } from './daemon.js'
import { configOption, needConfig } from './options.js'

/** `baton frontend -c FILE`: runs until SIGTERM or SIGINT, then lets what is under way finish. */
export async function run(argv: readonly string[]): Promise<number> {
  const { values } = parseArgs({ args: [...argv], options: configOption })
  return runDaemon(frontendFromConfig(loadFrontendConfig(needConfig(values.config, 'frontend'))))
}
