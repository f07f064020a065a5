/** One horizontal bar, made of parts that stand one after the other. */
export interface Bar {
  readonly label: string
  readonly parts: readonly { readonly value: number; readonly kind: number }[]
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
const COLOURS = ['#2f6f9f', '#e08a3c', '#7aa95c', '#9b6fb0']
const FONT = 'font-family="DejaVu Sans, Verdana, sans-serif"'

const escaped = (text: string): string =>
  text.replace(/[&<>]/g, (character) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;' })[character] ?? '')

const words = (x: number, y: number, text: string, more = '', size = 12): string =>
  `<text x="${x.toFixed(1)}" y="${y}" ${FONT} font-size="${size}" ${more}>${escaped(text)}</text>`

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
    `<rect width="${WIDTH}" height="${height}" fill="white"/>`,
    ...parts,
    '</svg>\n',
  ].join('\n')
}

const totalOf = ({ parts }: Bar): number => parts.reduce((sum, { value }) => sum + value, 0)

function drawn({ title, unit, bars, legend }: Chart, top: number): { lines: string[]; bottom: number } {
  const lines = [words(16, top, `${title} (${unit})`, 'font-weight="bold"')]
  let x = LABEL_WIDTH
  let y = top + 8
  if (legend.length > 1) {
    y += 14
    for (const [kind, name] of legend.entries()) {
      lines.push(
        `<rect x="${x}" y="${y - 9}" width="10" height="10" fill="${COLOURS[kind % COLOURS.length]}"/>`,
      )
      lines.push(words(x + 15, y, name))
      x += 30 + name.length * 7.5
    }
    y += 6
  }
  const most = Math.max(...bars.map(totalOf), Number.MIN_VALUE)
  const scale = (WIDTH - LABEL_WIDTH - NOTE_WIDTH) / most
  for (const bar of bars) {
    lines.push(words(LABEL_WIDTH - 8, y + 15, bar.label, 'text-anchor="end"'))
    let at = LABEL_WIDTH
    for (const { value, kind } of bar.parts) {
      const width = value * scale
      const colour = COLOURS[kind % COLOURS.length]
      lines.push(
        `<rect x="${at.toFixed(1)}" y="${y + 3}" width="${width.toFixed(1)}" height="${ROW - 7}" fill="${colour}"/>`,
      )
      at += width
    }
    lines.push(words(at + 6, y + 15, bar.note))
    y += ROW
  }
  return { lines, bottom: y }
}
