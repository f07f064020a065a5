#!/usr/bin/env -S node --use-largepages=silent
import { version } from '../config/index.js'
import { commands, helpText } from './commands.js'
import { explain } from './explain.js'

/** Exit codes: 0 done, 1 it failed or a check did not hold, 2 the command line is wrong. */
async function main(argv: readonly string[]): Promise<number> {
  const [name, ...rest] = argv
  if (name === '--version' || name === '-V') {
    process.stdout.write(`baton ${version}\n`)
    return 0
  }
  const asksHelp = name === '--help' || name === '-h' || name === 'help'
  const about = asksHelp ? rest[0] : name
  if (about === undefined) {
    process.stdout.write(helpText())
    return asksHelp ? 0 : 2
  }
  const command = Object.hasOwn(commands, about) ? commands[about] : undefined
  if (command === undefined) {
    process.stderr.write(`baton: there is no command "${about}"; see baton --help\n`)
    return 2
  }
  if (asksHelp || rest.includes('--help') || rest.includes('-h')) {
    process.stdout.write(helpText(about))
    return 0
  }
  try {
    const { run } = await command.load()
    return await run(rest)
  } catch (error) {
    const { text, exitCode } = explain(error, about)
    process.stderr.write(text)
    return exitCode
  }
}

// Whatever a failed start left open must not keep the process alive. Writes to terminals, files and pipes are done by now.
process.exit(await main(process.argv.slice(2)))
