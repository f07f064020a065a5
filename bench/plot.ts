import { escaped, FONT, seriesColour, styleSheet } from './svg.js'
import type { Tick } from './ticks.js'

export { linearTicks, logTicks, type Tick } from './ticks.js'

/** A value, and how far it went down and up over the rounds. */
export interface Point {
  readonly x: number
  readonly y: number
  readonly low?: number
  readonly high?: number
}

export interface Series {
  readonly name: string
  /** Its colour and its mark. */
  readonly kind: number
  readonly points: readonly Point[]
  /** For what is a limit rather than a measured thing. */
  readonly dashed?: boolean
  /** The one that it is about. */
  readonly bold?: boolean
}

export interface Axis {
  /** With its unit. */
  readonly label: string
  readonly scale: 'linear' | 'log'
  readonly ticks: readonly Tick[]
}

export interface Panel {
  readonly title: string
  readonly x: Axis
  readonly y: Axis
  readonly series: readonly Series[]
}

const WIDTH = 860
const PANEL_HEIGHT = 300
const MARGIN = { left: 74, right: 18, top: 34, bottom: 52 }

/** Panels, two to a row, with one legend for all of them, as an SVG document. */
export function linePlots(heading: string, panels: readonly Panel[]): string {
  const columns = Math.min(2, panels.length)
  const lines = [text(16, 30, heading, 'font-weight="bold"', 16)]
  const names = new Map(panels.flatMap(({ series }) => series.map((one) => [one.name, one] as const)))
  const legend = legendLines([...names.values()], 54)
  lines.push(...legend.lines)
  const width = (WIDTH - 16) / columns
  for (const [index, panel] of panels.entries()) {
    const left = 8 + (index % columns) * width
    const top = legend.bottom + Math.floor(index / columns) * PANEL_HEIGHT
    lines.push(...panelLines(panel, left, top, width))
  }
  const height = legend.bottom + Math.ceil(panels.length / columns) * PANEL_HEIGHT + 8
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}">`,
    `<title>${escaped(heading)}</title>`,
    styleSheet,
    `<rect class="paper" width="${WIDTH}" height="${height}"/>`,
    ...lines,
    '</svg>\n',
  ].join('\n')
}

const text = (x: number, y: number, words: string, more = '', size = 12): string =>
  `<text class="ink" x="${x.toFixed(1)}" y="${y.toFixed(1)}" ${FONT} font-size="${size}" ${more}>${escaped(words)}</text>`

function legendLines(series: readonly Series[], top: number): { lines: string[]; bottom: number } {
  const lines: string[] = []
  let x = 16
  let y = top
  for (const { name, kind, dashed, bold } of series) {
    const width = 40 + name.length * 7.2
    if (x + width > WIDTH - 16) {
      x = 16
      y += 20
    }
    lines.push(stroke(`M${x},${y - 4}H${x + 26}`, kind, dashed, bold), mark(x + 13, y - 4, kind))
    lines.push(text(x + 32, y, name))
    x += width + 10
  }
  return { lines, bottom: y + 14 }
}

const stroke = (path: string, kind: number, dashed = false, bold = false): string =>
  `<path d="${path}" fill="none" stroke="${seriesColour(kind)}" stroke-width="${bold ? 3.5 : 2}"${dashed ? ' stroke-dasharray="5 4"' : ''}/>`

/** A form for each kind too: colours alone do not reach everybody. */
export function mark(x: number, y: number, kind: number): string {
  const fill = `fill="${seriesColour(kind)}"`
  const [a, b] = [x.toFixed(1), y.toFixed(1)]
  switch (kind % 4) {
    case 0:
      return `<circle cx="${a}" cy="${b}" r="4" ${fill}/>`
    case 1:
      return `<rect x="${(x - 3.5).toFixed(1)}" y="${(y - 3.5).toFixed(1)}" width="7" height="7" ${fill}/>`
    case 2:
      return `<path d="M${a},${(y - 5).toFixed(1)}l4.6,8h-9.2z" ${fill}/>`
    default:
      return `<path d="M${a},${(y - 5).toFixed(1)}l5,5l-5,5l-5,-5z" ${fill}/>`
  }
}

const placed = ({ scale }: Axis, value: number): number => (scale === 'log' ? Math.log10(value) : value)

/** Where a value stands between the outermost ticks of the axis: 0 to 1, and beyond. */
export function share(axis: Axis, value: number): number {
  const places = axis.ticks.map(({ at }) => placed(axis, at))
  const least = Math.min(...places)
  const most = Math.max(...places)
  return most === least ? 0.5 : (placed(axis, value) - least) / (most - least)
}

function panelLines({ title, x, y, series }: Panel, left: number, top: number, width: number): string[] {
  const area = {
    left: left + MARGIN.left,
    right: left + width - MARGIN.right,
    top: top + MARGIN.top,
    bottom: top + PANEL_HEIGHT - MARGIN.bottom,
  }
  const inset = 14
  const atX = (value: number) => area.left + inset + share(x, value) * (area.right - area.left - 2 * inset)
  const atY = (value: number) => area.bottom - share(y, value) * (area.bottom - area.top)
  const lines = [
    text((area.left + area.right) / 2, top + 20, title, 'font-weight="bold" text-anchor="middle"', 13),
  ]
  for (const { at, label } of y.ticks) {
    const place = atY(at).toFixed(1)
    lines.push(`<path class="grid" d="M${area.left.toFixed(1)},${place}H${area.right.toFixed(1)}"/>`)
    lines.push(text(area.left - 8, atY(at) + 4, label, 'text-anchor="end"', 11))
  }
  for (const { at, label } of x.ticks) {
    const place = atX(at).toFixed(1)
    lines.push(`<path class="grid" d="M${place},${area.bottom.toFixed(1)}v5"/>`)
    lines.push(text(atX(at), area.bottom + 18, label, 'text-anchor="middle"', 11))
  }
  lines.push(text((area.left + area.right) / 2, area.bottom + 38, x.label, 'text-anchor="middle"'))
  const middle = (area.top + area.bottom) / 2
  const turned = `text-anchor="middle" transform="rotate(-90 ${(left + 18).toFixed(1)} ${middle.toFixed(1)})"`
  lines.push(text(left + 18, middle, y.label, turned))
  for (const one of series) lines.push(...seriesLines(one, atX, atY))
  return lines
}

function seriesLines(
  { kind, points, dashed, bold }: Series,
  atX: (value: number) => number,
  atY: (value: number) => number,
): string[] {
  const at = points.map((point) => ({ ...point, px: atX(point.x), py: atY(point.y) }))
  const path = at.map(({ px, py }, index) => `${index === 0 ? 'M' : 'L'}${px.toFixed(1)},${py.toFixed(1)}`)
  const spreads = at.map(({ px, low, high }) =>
    low === undefined || high === undefined
      ? ''
      : `<path d="M${px.toFixed(1)},${atY(low).toFixed(1)}V${atY(high).toFixed(1)}" stroke="${seriesColour(kind)}" stroke-width="1"/>`,
  )
  return [
    stroke(path.join(''), kind, dashed, bold),
    ...spreads,
    ...at.map(({ px, py }) => mark(px, py, kind)),
  ]
}

/** `1 KiB`, `64 MiB`. */
export function sizeLabel(bytes: number): string {
  if (bytes >= 2 ** 30) return `${bytes / 2 ** 30} GiB`
  if (bytes >= 2 ** 20) return `${bytes / 2 ** 20} MiB`
  return bytes >= 1024 ? `${bytes / 1024} KiB` : `${bytes} B`
}
