import { parseArgs } from 'node:util'
import { cleanStale } from '../../lab/index.js'
import { DemoHosts } from './hosts.js'
import { runStep, type StepResult } from './step.js'
import { tour } from './tour.js'

/** `baton demo`: builds the hosts, runs the tour, then stays up (unless --once) until Ctrl-C. */
export async function run(argv: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...argv],
    options: { once: { type: 'boolean', default: false }, json: { type: 'boolean', default: false } },
  })
  // With --json stdout belongs to the result.
  const out = values.json ? process.stderr : process.stdout
  const say = (line: string) => void out.write(`${line}\n`)
  if (process.getuid?.() !== 0) {
    process.stderr.write('baton: the demo makes network namespaces and needs root\n')
    return 1
  }
  for (const name of cleanStale()) say(`removed ${name}, left by an earlier run`)
  const startedAtMs = performance.now()
  let hosts: DemoHosts | undefined
  const results: StepResult[] = []
  try {
    say('Building the lab: client, router, 2 frontends, 3 backends, redis (network namespaces on veths)')
    hosts = new DemoHosts()
    await hosts.startAll((line) => say(`  starting ${line}`))
    say(`  ready after ${seconds(startedAtMs)}\n`)
    for (const step of tour(hosts)) {
      say(`▸ ${step.title}`)
      const result = await runStep(step)
      results.push(result)
      say(`  ${result.ok ? '✔' : '✘'} ${result.name}, ${result.durationMs} ms${figuresText(result)}`)
    }
    const ok = results.every((result) => result.ok)
    say(
      `\n${ok ? 'All held' : 'Some did not hold'}: ${results.filter((r) => r.ok).length} of ${results.length} steps, ${seconds(startedAtMs)}`,
    )
    if (values.json) process.stdout.write(`${JSON.stringify({ ok, steps: results })}\n`)
    if (!values.once) await stayUp(hosts, say)
    return ok ? 0 : 1
  } catch (error) {
    process.stderr.write(`baton: ${error instanceof Error ? error.message : String(error)}\n`)
    if (values.json) process.stdout.write(`${JSON.stringify({ ok: false, steps: results })}\n`)
    return 1
  } finally {
    say('Cleaning up')
    await hosts?.dispose()
  }
}

const seconds = (sinceMs: number) => `${((performance.now() - sinceMs) / 1000).toFixed(1)} s`

function figuresText(result: StepResult): string {
  const figures = Object.entries(result.figures).map(([name, value]) => `\n      ${name}: ${value}`)
  return `${figures.join('')}${result.error === undefined ? '' : `\n      ${result.error.replaceAll('\n', '\n      ')}`}`
}

/** Prints what to try, and waits for Ctrl-C. */
async function stayUp(hosts: DemoHosts, say: (line: string) => void): Promise<void> {
  const { net } = hosts
  const on = (path: string) => `nsenter --net=${path}`
  say(`
The lab is up. In another terminal, as root:

  ${on(net.client.path)} curl -s --connect-to ::${net.vip4}:80 http://cat.video.example/v/hello
  ${on(net.client.path)} curl -s --connect-to '::[${net.vip6}]:80' http://shop.example/hello
  ${on(net.client.path)} curl -o /dev/null --connect-to ::${net.vip4}:80 http://cat.video.example/v/bytes/10000000000
  ${on(net.active.path)} node dist/src/cli/main.js status
  ${on(net.active.path)} curl -s http://127.0.0.1:9900/metrics
  kill -9 ${hosts.process(`front-${net.frontends.indexOf(net.active) + 1}`).pid}     # the active frontend; downloads go on

Ctrl-C ends it and cleans everything away.`)
  // A timer keeps the process up: nothing else does while the lab is quiet.
  const keepUp = setInterval(() => undefined, 60_000)
  await new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, resolve)
  })
  clearInterval(keepUp)
}
