#!/usr/bin/env node
import { version } from '../config/index.js'
import { isBatonError } from '../errors/index.js'
import { commands, helpText } from './commands.js'

/** Exit codes: 0 done, 1 it failed or a check did not hold, 2 the command line is wrong. */
async function main(argv: readonly string[]): Promise<number> {
  const [name, ...rest] = argv
  if (name === undefined || name === '--help' || name === '-h' || name === 'help') {
    process.stdout.write(helpText(rest[0]))
    return name === undefined ? 2 : 0
  }
  if (name === '--version' || name === '-V') {
    process.stdout.write(`baton ${version}\n`)
    return 0
  }
  const command = commands[name]
  if (command === undefined) {
    process.stderr.write(`baton: there is no command "${name}"; see baton --help\n`)
    return 2
  }
  if (rest.includes('--help') || rest.includes('-h')) {
    process.stdout.write(helpText(name))
    return 0
  }
  const { run } = await command.load()
  return run(rest)
}

try {
  process.exitCode = await main(process.argv.slice(2))
} catch (error) {
  const usage =
    error instanceof TypeError && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS')
  if (usage) process.stderr.write(`baton: ${error.message}; see baton --help\n`)
  else if (isBatonError(error)) process.stderr.write(`baton: ${error.code}: ${error.message}\n`)
  else
    process.stderr.write(
      `baton: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`,
    )
  process.exitCode = usage ? 2 : 1
}
