import { linearTicks } from './ticks.js'

/** One horizontal bar, made of parts that stand one after the other. */
export interface Bar {
  readonly label: string
  readonly parts: readonly { readonly value: number; readonly kind: number }[]
  /** How far the whole went down and up over the rounds. */
  readonly spread?: { readonly min: number; readonly max: number }
  /** At its end, for example the value. */
  readonly note: string
}

export interface Chart {
  readonly title: string
  readonly unit: string
  readonly bars: readonly Bar[]
  /** Names of the kinds of parts, in the order of their numbers. */
  readonly legend: readonly string[]
}

const WIDTH = 860
const LABEL_WIDTH = 230
const NOTE_WIDTH = 150
const ROW = 24
/** Told apart on white and on black, and by most who do not see all colours (after Okabe and Ito). */
const COLOURS = ['#0f7fc4', '#e08a1e', '#0a9c72', '#b765a8', '#d4552b', '#8c8c8c', '#9a8a00', '#5a68d6']
export const FONT = 'font-family="DejaVu Sans, Verdana, sans-serif"'

export const seriesColour = (kind: number): string => COLOURS[kind % COLOURS.length] ?? '#000000'

/** Paper and ink follow the reader's light or dark. Programs that know no media queries draw it light. */
export const styleSheet = `<style>
.paper { fill: #ffffff; }
.ink { fill: #1f2328; }
.grid { stroke: #d0d7de; stroke-width: 1; fill: none; }
.whisker { stroke: #1f2328; stroke-width: 1.2; fill: none; }
@media (prefers-color-scheme: dark) {
  .paper { fill: #0d1117; }
  .ink { fill: #e6edf3; }
  .grid { stroke: #3d444d; }
  .whisker { stroke: #e6edf3; }
}
</style>`

export const escaped = (text: string): string =>
  text.replace(/[&<>]/g, (character) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;' })[character] ?? '')

const words = (x: number, y: number, text: string, more = '', size = 12): string =>
  `<text class="ink" x="${x.toFixed(1)}" y="${y}" ${FONT} font-size="${size}" ${more}>${escaped(text)}</text>`

/** Charts of horizontal bars, one below the other, as an SVG document. */
export function barCharts(heading: string, charts: readonly Chart[]): string {
  const parts: string[] = []
  let y = 34
  parts.push(words(16, y, heading, 'font-weight="bold"', 16))
  for (const chart of charts) {
    y += 36
    const { lines, bottom } = drawn(chart, y)
    parts.push(...lines)
    y = bottom
  }
  const height = y + 16
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}">`,
    `<title>${escaped(heading)}</title>`,
    styleSheet,
    `<rect class="paper" width="${WIDTH}" height="${height}"/>`,
    ...parts,
    '</svg>\n',
  ].join('\n')
}

/** From the lowest to the highest round. */
const whisker = (from: number, to: number, y: number): string => {
  const ends = [from, to].map((x) => `M${x.toFixed(1)},${y - 4}v8`).join('')
  return `<path class="whisker" d="M${from.toFixed(1)},${y}H${to.toFixed(1)}${ends}"/>`
}

const totalOf = ({ parts }: Bar): number => parts.reduce((sum, { value }) => sum + value, 0)

function drawn({ title, unit, bars, legend }: Chart, top: number): { lines: string[]; bottom: number } {
  const lines = [words(16, top, `${title} (${unit})`, 'font-weight="bold"')]
  let x = LABEL_WIDTH
  let y = top + 8
  if (legend.length > 1) {
    y += 14
    for (const [kind, name] of legend.entries()) {
      lines.push(`<rect x="${x}" y="${y - 9}" width="10" height="10" fill="${seriesColour(kind)}"/>`)
      lines.push(words(x + 15, y, name))
      x += 30 + name.length * 7.5
    }
    y += 6
  }
  const most = Math.max(...bars.map((bar) => Math.max(totalOf(bar), bar.spread?.max ?? 0)), Number.MIN_VALUE)
  const ticks = linearTicks(most, (value) => value.toLocaleString('en').replaceAll(',', '\u202f'))
  const scale = (WIDTH - LABEL_WIDTH - NOTE_WIDTH) / (ticks.at(-1)?.at ?? most)
  const bottom = y + bars.length * ROW + 4
  for (const { at, label } of ticks) {
    const place = LABEL_WIDTH + at * scale
    lines.push(`<path class="grid" d="M${place.toFixed(1)},${y}V${bottom}"/>`)
    lines.push(words(place, bottom + 14, label, 'text-anchor="middle"', 11))
  }
  for (const bar of bars) {
    lines.push(words(LABEL_WIDTH - 8, y + 15, bar.label, 'text-anchor="end"'))
    let at = LABEL_WIDTH
    for (const { value, kind } of bar.parts) {
      const width = value * scale
      const colour = seriesColour(kind)
      lines.push(
        `<rect x="${at.toFixed(1)}" y="${y + 3}" width="${width.toFixed(1)}" height="${ROW - 7}" fill="${colour}"/>`,
      )
      at += width
    }
    const { spread } = bar
    if (spread !== undefined) {
      lines.push(
        whisker(LABEL_WIDTH + spread.min * scale, LABEL_WIDTH + spread.max * scale, y + ROW / 2 - 0.5),
      )
      at = Math.max(at, LABEL_WIDTH + spread.max * scale)
    }
    lines.push(words(at + 6, y + 15, bar.note))
    y += ROW
  }
  return { lines, bottom: bottom + 18 }
}
