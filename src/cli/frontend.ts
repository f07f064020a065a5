import { parseArgs } from 'node:util'
import closeWithGrace from 'close-with-grace'
import { loadFrontendConfig } from '../config/index.js'
import { createFrontend } from '../frontend/index.js'
import { configOption, needConfig } from './options.js'

/** `baton frontend -c FILE`: runs until SIGTERM or SIGINT, then lets what is under way finish. */
export async function run(argv: readonly string[]): Promise<number> {
  const { values } = parseArgs({ args: [...argv], options: configOption })
  const config = loadFrontendConfig(needConfig(values.config, 'frontend'))
  const frontend = createFrontend(config)
  closeWithGrace({ delay: config.timeouts.drainTimeoutMs + 1000, logger: false }, async ({ err, signal }) => {
    frontend.log.info({ err, signal }, err === undefined ? 'stopping' : 'stopping after an error')
    if (err === undefined) await frontend.close()
    else frontend.destroy()
  })
  await frontend.start()
  return new Promise(() => undefined)
}
