import { type Axis, mark, share } from './plot.js'
import { escaped, FONT, styleSheet } from './svg.js'
import { logTicks } from './ticks.js'

/** One thing, and its values on one line. */
export interface Row {
  readonly label: string
  /** In the order of {@link DotChart.legend}. */
  readonly values: readonly number[]
  /** At the end of the line, for example the values. */
  readonly note: string
}

export interface DotChart {
  readonly title: string
  readonly unit: string
  readonly rows: readonly Row[]
  /** Names of the values of each row. */
  readonly legend: readonly string[]
}

const WIDTH = 860
const LABEL_WIDTH = 170
const NOTE_WIDTH = 170
const ROW = 26

const words = (x: number, y: number, text: string, more = '', size = 12): string =>
  `<text class="ink" x="${x.toFixed(1)}" y="${y.toFixed(1)}" ${FONT} font-size="${size}" ${more}>${escaped(text)}</text>`

/** Values that lie far apart, as marks on one logarithmic axis for all charts, which stand one below the other. */
export function dotCharts(heading: string, charts: readonly DotChart[]): string {
  const all = charts.flatMap(({ rows }) => rows.flatMap(({ values }) => values)).filter((value) => value > 0)
  const ticks = logTicks(Math.min(...all), Math.max(...all), (value) => value.toLocaleString('en'))
  const lines = [words(16, 30, heading, 'font-weight="bold"', 16)]
  let y = 56
  let x = LABEL_WIDTH
  for (const [kind, name] of (charts[0]?.legend ?? []).entries()) {
    lines.push(mark(x + 5, y - 4, kind), words(x + 16, y, name))
    x += 42 + name.length * 7.5
  }
  for (const chart of charts) {
    const axis: Axis = { label: chart.unit, scale: 'log', ticks }
    lines.push(...chartLines(chart, axis, y + 30))
    y += 30 + chart.rows.length * ROW + 56
  }
  const height = y + 4
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}">`,
    `<title>${escaped(heading)}</title>`,
    styleSheet,
    `<rect class="paper" width="${WIDTH}" height="${height}"/>`,
    ...lines,
    '</svg>\n',
  ].join('\n')
}

function chartLines({ title, rows }: DotChart, axis: Axis, top: number): string[] {
  const width = WIDTH - LABEL_WIDTH - NOTE_WIDTH
  const at = (value: number) => LABEL_WIDTH + share(axis, value) * width
  const bottom = top + 10 + rows.length * ROW
  const lines = [words(16, top, title, 'font-weight="bold"')]
  for (const { at: value, label } of axis.ticks) {
    lines.push(`<path class="grid" d="M${at(value).toFixed(1)},${top + 10}V${bottom}"/>`)
    lines.push(words(at(value), bottom + 15, label, 'text-anchor="middle"', 11))
  }
  lines.push(words(LABEL_WIDTH + width / 2, bottom + 33, axis.label, 'text-anchor="middle"', 11))
  for (const [index, { label, values, note }] of rows.entries()) {
    const y = top + 10 + index * ROW + ROW / 2
    const [least, most] = [Math.min(...values), Math.max(...values)]
    lines.push(words(LABEL_WIDTH - 12, y + 4, label, 'text-anchor="end"'))
    lines.push(`<path class="whisker" d="M${at(least).toFixed(1)},${y}H${at(most).toFixed(1)}"/>`)
    for (const [kind, value] of values.entries()) lines.push(mark(at(value), y, kind))
    lines.push(words(LABEL_WIDTH + width + 12, y + 4, note, '', 11))
  }
  return lines
}
