import { statSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { loadFrontendConfig } from '../config/index.js'
import { openSteering } from '../steering/index.js'
import { configOption, needConfig } from './options.js'

/** `baton detach -c FILE`: takes program, maps and TAP of a frontend that does not run out of the kernel. */
export async function run(argv: readonly string[]): Promise<number> {
  const { values } = parseArgs({ args: [...argv], options: configOption })
  const { steering } = loadFrontendConfig(needConfig(values.config, 'detach'))
  if (steering === undefined) {
    process.stdout.write('baton: this configuration steers nothing\n')
    return 0
  }
  const { pinPath } = steering
  // Without the right to look there this throws, which is another thing than nothing.
  if (statSync(pinPath, { throwIfNoEntry: false }) === undefined) {
    process.stdout.write(`baton: nothing to detach: there is no ${pinPath}\n`)
    return 0
  }
  const open = openSteering({ pinPath, interface: steering.interface })
  const { flows } = open.stats()
  open.detach()
  process.stdout.write(
    `baton: detached from ${steering.interface}; the table held ${flows} ${flows === 1 ? 'flow' : 'flows'}\n`,
  )
  return 0
}
