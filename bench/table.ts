import type { Goal } from './report.js'
import { short } from './statistics.js'

/** A table of texts in columns: the first column to the left, the others to the right. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [head, ...rows]
  const widths = head.map((_, column) => Math.max(...all.map((row) => row[column]?.length ?? 0)))
  const line = (row: readonly string[]) =>
    widths
      .map((width, column) => {
        const text = row[column] ?? ''
        return column === 0 ? text.padEnd(width) : text.padStart(width)
      })
      .join('  ')
      .trimEnd()
  return [line(head), widths.map((width) => '─'.repeat(width)).join('  '), ...rows.map(line)].join('\n')
}

/** Each goal with what was measured, and whether it is held. */
export function goalTable(goals: readonly Goal[]): string {
  const rows = goals.map(({ name, value, unit, goal, ok }) => [
    name,
    short(value),
    unit,
    goal,
    ok ? 'yes' : 'no',
  ])
  return table(['goal', 'measured', '', 'aim', 'held'], rows)
}
