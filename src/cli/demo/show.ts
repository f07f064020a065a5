import type { Figures, Step, StepResult } from './step.js'

/** Where the tour is shown: stdout, or stderr where stdout belongs to the JSON. */
export interface Screen {
  write(text: string): unknown
  readonly isTTY?: boolean
  readonly columns?: number
}

const GREEN = 32
const RED = 31
const BOLD = 1
const DIM = 2
/** A running step's seconds are shown anew that often, in ms. */
const TICK_MS = 1000

/** The tour as it is seen: on a terminal in colours (unless NO_COLOR is set) and with the seconds of the running step. */
export class Show {
  readonly #screen: Screen
  readonly #live: boolean
  readonly #colours: boolean

  constructor(screen: Screen) {
    this.#screen = screen
    this.#live = screen.isTTY === true
    this.#colours = this.#live && !process.env.NO_COLOR
  }

  line(text = ''): void {
    this.#screen.write(`${text}\n`)
  }

  heading(text: string): void {
    this.line(this.#paint(BOLD, text))
  }

  /** Shows the step while it runs, and then what came of it. */
  async step(place: string, step: Step, run: (step: Step) => Promise<StepResult>): Promise<StepResult> {
    const begun = `${place} ${step.title}`
    const fits = this.#live && begun.length + 12 < (this.#screen.columns ?? 80)
    if (fits) this.#screen.write(begun)
    else this.line(begun)
    const startedAtMs = performance.now()
    const tick = () =>
      this.#screen.write(`\r${begun}  ${Math.round((performance.now() - startedAtMs) / 1000)} s`)
    const timer = fits ? setInterval(tick, TICK_MS) : undefined
    const result = await run(step)
    clearInterval(timer)
    if (fits) this.#screen.write('\r\u001b[K')
    const mark = result.ok ? this.#paint(GREEN, '✔') : this.#paint(RED, '✘')
    const took = this.#paint(DIM, `${(result.durationMs / 1000).toFixed(1)} s`)
    this.line(
      fits
        ? `${place} ${mark} ${this.#paint(BOLD, step.title)}  ${took}`
        : `      ${mark} ${step.name}  ${took}`,
    )
    for (const { name, value } of figureRows(result.figures)) {
      this.line(`        ${this.#paint(DIM, name)}  ${value}`)
    }
    if (result.error !== undefined) {
      this.line(this.#paint(RED, `        ${result.error.replaceAll('\n', '\n        ')}`))
    }
    return result
  }

  verdict(ok: boolean, text: string): void {
    this.line(`\n${this.#paint(ok ? GREEN : RED, text)}`)
  }

  #paint(code: number, text: string): string {
    return this.#colours ? `\u001b[${code}m${text}\u001b[0m` : text
  }
}

/** Names in words, aligned, and values with their units. The JSON has both as they are. */
export function figureRows(figures: Figures): { name: string; value: string }[] {
  const rows = Object.entries(figures).map(([name, value]) => readable(name, value))
  const width = Math.max(0, ...rows.map(({ name }) => name.length))
  return rows.map(({ name, value }) => ({ name: name.padEnd(width), value }))
}

function readable(key: string, value: Figures[string]): { name: string; value: string } {
  const name = words(key)
  if (typeof value !== 'number') return { name, value: String(value) }
  if (key === 'mibPerSecond') return { name: 'speed', value: `${value} MiB/s` }
  const speed = /^(.*)[gG]bitPerSecond$/.exec(key)
  if (speed !== null) return { name: words(speed[1] || 'speed'), value: `${value} Gbit/s` }
  if (key.endsWith('Ms')) return { name: words(key.slice(0, -2)), value: timeText(value) }
  if (/^bytes|Bytes$/.test(key)) return { name, value: bytesText(value) }
  return { name, value: value.toLocaleString('en-US') }
}

/** bytesSentByBackend: bytes sent by backend */
const words = (key: string) => key.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`)

const timeText = (ms: number) => (ms < 1000 ? `${ms} ms` : `${(ms / 1000).toFixed(1)} s`)

function bytesText(bytes: number): string {
  const exact = `${bytes.toLocaleString('en-US')} B`
  if (bytes < 1024) return exact
  const [size, unit] = bytes < 1024 * 1024 ? [1024, 'KiB'] : [1024 * 1024, 'MiB']
  return `${(bytes / size).toFixed(1)} ${unit}`
}
