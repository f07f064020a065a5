// npm run --silent bench -- NAME [--json] [--quick]: progress on stderr, tables on stdout.
import { parseArgs } from 'node:util'
import { adopt } from './adopt/index.js'
import { cpu } from './cpu/index.js'
import { death } from './death/index.js'
import { floor } from './floor/index.js'
import { handoff } from './handoff/index.js'
import { handoffs } from './handoffs/index.js'
import { idle } from './idle/index.js'
import { keepalive } from './keepalive/index.js'
import { latency } from './latency/index.js'
import { type Bench, combined, keep, type Outcome, type Report } from './report.js'
import { scale } from './scale/index.js'
import { throughput } from './throughput/index.js'

const benches: readonly Bench[] = [
  handoff,
  adopt,
  throughput,
  cpu,
  handoffs,
  latency,
  keepalive,
  idle,
  scale,
  death,
  floor,
]
const ALL = 'all'

const help = `Usage: npm run --silent bench -- NAME [--json] [--quick]

NAME is one of these, or all for one after the other:
${benches.map(({ name, summary }) => `  ${name.padEnd(10)} ${summary}`).join('\n')}

  --json     the last line of stdout is one object {bench, goals: [{name, value, unit, goal, ok}], data}
  --quick    fewer rounds: an indication instead of a measurement
  --help     this text

Results also go to bench/results/NAME.json and NAME.svg. Needs root; everything runs in network namespaces of its own.
`

function options() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: { json: { type: 'boolean' }, quick: { type: 'boolean' }, help: { type: 'boolean' } },
    })
  } catch (error) {
    process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n`)
    process.exit(2)
  }
}

const { values, positionals } = options()
if (values.help === true || positionals.length === 0) {
  process.stdout.write(help)
  process.exit(values.help === true ? 0 : 2)
}
const chosen = positionals[0] === ALL ? benches : benches.filter(({ name }) => name === positionals[0])
if (chosen.length === 0 || positionals.length !== 1) {
  process.stderr.write(`bench: there is no benchmark ${positionals.join(' ')}; see --help\n`)
  process.exit(2)
}

const startedAtMs = performance.now()
const sayOf = (name: string) => (line: string) => {
  const seconds = ((performance.now() - startedAtMs) / 1000).toFixed(1).padStart(6)
  process.stderr.write(`${seconds} s  ${chosen.length === 1 ? '' : `${name}: `}${line}\n`)
}

async function run(bench: Bench): Promise<Outcome> {
  const say = sayOf(bench.name)
  const outcome = await bench.run({ quick: values.quick === true, say })
  for (const path of keep(outcome)) say(`wrote ${path}`)
  process.stdout.write(`${outcome.text}\n`)
  return outcome
}

const reports: Report[] = []
for (const bench of chosen) reports.push((await run(bench)).report)
if (values.json === true) {
  const report = positionals[0] === ALL ? combined(ALL, reports) : reports[0]
  process.stdout.write(`${JSON.stringify(report)}\n`)
}
