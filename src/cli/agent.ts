import { parseArgs } from 'node:util'
import closeWithGrace from 'close-with-grace'
import { agentFromConfig } from '../backend-agent/index.js'
import { loadAgentConfig } from '../config/index.js'
import { configOption, needConfig } from './options.js'

/** `baton agent -c FILE`: runs until SIGTERM or SIGINT, then drains. */
export async function run(argv: readonly string[]): Promise<number> {
  const { values } = parseArgs({ args: [...argv], options: configOption })
  const config = loadAgentConfig(needConfig(values.config, 'agent'))
  const agent = agentFromConfig(config)
  closeWithGrace({ delay: config.timeouts.drainTimeoutMs + 1000, logger: false }, async ({ err }) => {
    if (err === undefined) await agent.close()
    else {
      process.stderr.write(`baton: ${err.stack ?? err.message}\n`)
      agent.destroy()
    }
  })
  await agent.start()
  return new Promise(() => undefined)
}
