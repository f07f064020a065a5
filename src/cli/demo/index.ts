import { parseArgs } from 'node:util'
import { cleanStale } from '../../lab/index.js'
import { DemoHosts } from './hosts.js'
import { Show } from './show.js'
import { runStep, type StepResult } from './step.js'
import { tour } from './tour.js'
import { thingsToTry } from './try.js'

/** `baton demo`: builds the hosts, runs the tour, then stays up (unless --once) until Ctrl-C. */
export async function run(argv: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...argv],
    options: { once: { type: 'boolean', default: false }, json: { type: 'boolean', default: false } },
  })
  // With --json stdout belongs to the result.
  const show = new Show(values.json ? process.stderr : process.stdout)
  if (process.getuid?.() !== 0) {
    process.stderr.write('baton: the demo makes network namespaces and needs root\n')
    return 1
  }
  for (const name of cleanStale()) show.line(`removed ${name}, left by an earlier run`)
  const startedAtMs = performance.now()
  let hosts: DemoHosts | undefined
  const results: StepResult[] = []
  try {
    show.heading('Building the hosts on this machine: network namespaces on veth links')
    hosts = new DemoHosts()
    await hosts.startAll((what, runs) => show.line(`    ${what.padEnd(22)}${runs}`))
    show.line(`    ready after ${seconds(startedAtMs)}\n`)
    const steps = tour(hosts)
    for (const [index, step] of steps.entries()) {
      results.push(await show.step(`${String(index + 1).padStart(2)}/${steps.length}`, step, runStep))
    }
    const held = results.filter((result) => result.ok).length
    const ok = held === results.length
    show.verdict(
      ok,
      `${ok ? 'All held' : 'Some did not hold'}: ${held} of ${results.length} steps, ${seconds(startedAtMs)}`,
    )
    if (values.json) process.stdout.write(`${JSON.stringify({ ok, steps: results })}\n`)
    if (!values.once) await stayUp(hosts, show)
    return ok ? 0 : 1
  } catch (error) {
    process.stderr.write(`baton: ${error instanceof Error ? error.message : String(error)}\n`)
    if (values.json) process.stdout.write(`${JSON.stringify({ ok: false, steps: results })}\n`)
    return 1
  } finally {
    show.line('Cleaning up')
    await hosts?.dispose()
  }
}

const seconds = (sinceMs: number) => `${((performance.now() - sinceMs) / 1000).toFixed(1)} s`

/** Prints what to try, and waits for Ctrl-C. */
async function stayUp(hosts: DemoHosts, show: Show): Promise<void> {
  show.heading('\nThe hosts stay up. In another terminal, as root, in this folder:')
  for (const { what, commands } of thingsToTry(hosts)) {
    show.line(`\n  ${what}`)
    for (const command of commands) show.line(`    ${command}`)
  }
  show.line('\nCtrl-C ends it and cleans everything away.')
  // A timer keeps the process up: nothing else does while the lab is quiet.
  const keepUp = setInterval(() => undefined, 60_000)
  await new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, resolve)
  })
  clearInterval(keepUp)
}
