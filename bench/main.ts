// npm run --silent bench -- NAME [--json] [--quick]: progress on stderr, tables on stdout.
import { parseArgs } from 'node:util'
import { handoff } from './handoff/index.js'
import { type Bench, keep } from './report.js'

const benches: readonly Bench[] = [handoff]

const help = `Usage: npm run --silent bench -- NAME [--json] [--quick]

Benchmarks:
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
const bench = benches.find(({ name }) => name === positionals[0])
if (values.help === true || (positionals.length === 0 && !values.json)) {
  process.stdout.write(help)
  process.exit(values.help === true ? 0 : 2)
}
if (bench === undefined || positionals.length !== 1) {
  process.stderr.write(`bench: there is no benchmark ${positionals.join(' ')}; see --help\n`)
  process.exit(2)
}

const startedAtMs = performance.now()
const say = (line: string) => {
  process.stderr.write(`${((performance.now() - startedAtMs) / 1000).toFixed(1).padStart(5)} s  ${line}\n`)
}
const outcome = await bench.run({ quick: values.quick === true, say })
for (const path of keep(outcome)) say(`wrote ${path}`)
process.stdout.write(`${outcome.text}\n`)
if (values.json === true) process.stdout.write(`${JSON.stringify(outcome.report)}\n`)
