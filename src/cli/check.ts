import { parseArgs } from 'node:util'
import { checkFile, formatProblem } from '../config/index.js'

/** `baton check FILE …`: every mistake with its file, line and path; exit 1 if there is one. */
export async function run(argv: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: { json: { type: 'boolean', default: false } },
  })
  if (positionals.length === 0) {
    process.stderr.write('baton: check needs a file: baton check FILE …\n')
    return 2
  }
  const reports = await Promise.all(positionals.map((file) => checkFile(file)))
  const ok = reports.every((report) => report.ok)
  if (values.json) {
    const problems = reports.flatMap((report) => report.problems)
    process.stdout.write(`${JSON.stringify({ ok, problems })}\n`)
    return ok ? 0 : 1
  }
  for (const [index, report] of reports.entries()) {
    for (const problem of report.problems) process.stderr.write(`${formatProblem(problem)}\n`)
    if (report.ok) process.stdout.write(`${positionals[index]}: ok (${report.kind})\n`)
  }
  return ok ? 0 : 1
}
