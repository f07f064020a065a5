import { statSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { detachAdoptions } from '../backend-agent/index.js'
import { checkFile, formatProblem, loadAgentConfig, loadFrontendConfig } from '../config/index.js'
import { openSteering } from '../steering/index.js'
import { configOption, needConfig } from './options.js'

/** `baton detach -c FILE`: takes out of the kernel what a frontend or agent that does not run has left there. */
export async function run(argv: readonly string[]): Promise<number> {
  const { values } = parseArgs({ args: [...argv], options: configOption })
  const file = needConfig(values.config, 'detach')
  const { kind, problems } = checkFile(file)
  switch (kind) {
    case 'frontend':
      say(detachFrontend(file))
      return 0
    case 'agent':
      say(detachAgent(file))
      return 0
    case undefined:
      for (const problem of problems) process.stderr.write(`${formatProblem(problem)}\n`)
      return 1
    default:
      return kind satisfies never
  }
}

const say = (text: string) => process.stdout.write(`baton: ${text}\n`)
const counted = (count: number, one: string) => `${count} ${one}${count === 1 ? '' : 's'}`

/** Program, maps and TAP. */
function detachFrontend(file: string): string {
  const { steering } = loadFrontendConfig(file)
  if (steering === undefined) return 'this configuration steers nothing'
  const { pinPath } = steering
  // Without the right to look there this throws, which is another thing than nothing.
  if (statSync(pinPath, { throwIfNoEntry: false }) === undefined) {
    return `nothing to detach: there is no ${pinPath}`
  }
  const open = openSteering({ pinPath, interface: steering.interface })
  const { flows } = open.stats()
  open.detach()
  return `detached from ${steering.interface}; the table held ${counted(flows, 'flow')}`
}

/** The books of adopted connections, and the program that keeps them. */
function detachAgent(file: string): string {
  const { id } = loadAgentConfig(file)
  const left = detachAdoptions(id)
  if (left === undefined) return `nothing to detach: no agent ${id} has left anything here`
  return `detached; ${counted(left, 'adopted connection')} live${left === 1 ? 's' : ''} on, and no frontend will be told of the end`
}
