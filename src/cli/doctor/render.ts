import type { Finding, Verdict } from './finding.js'

const symbols: Record<Verdict, string> = { ok: '✔', warn: '!', fail: '✖' }
const colours: Record<Verdict, string> = { ok: '32', warn: '33', fail: '31' }

/** The findings as a table, headed by area, each with its fix below. Colour only if asked for (a terminal). */
export function renderTable(findings: readonly Finding[], colour: boolean): string {
  const paint = (verdict: Verdict, text: string) =>
    colour ? `\u001b[${colours[verdict]}m${text}\u001b[0m` : text
  const width = Math.max(0, ...findings.map((finding) => finding.name.length))
  const lines: string[] = []
  let area = ''
  for (const finding of findings) {
    if (finding.area !== area) {
      if (area !== '') lines.push('')
      area = finding.area
      lines.push(area)
    }
    const symbol = paint(finding.verdict, symbols[finding.verdict])
    lines.push(`  ${symbol} ${finding.name.padEnd(width)}  ${finding.found}`)
    if (finding.fix !== null) lines.push(`    ${' '.repeat(width)}  → ${finding.fix}`)
  }
  const count = (verdict: Verdict) => findings.filter((finding) => finding.verdict === verdict).length
  const [ok, warn, fail] = [count('ok'), count('warn'), count('fail')]
  const worst: Verdict = fail > 0 ? 'fail' : warn > 0 ? 'warn' : 'ok'
  lines.push('', paint(worst, `${ok} ok, ${warn} to look at, ${fail} to mend`))
  return `${lines.join('\n')}\n`
}
