import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { packageRoot } from '../src/kernel/native.js'

/** One aim, and what was measured. */
export interface Goal {
  readonly name: string
  readonly value: number
  readonly unit: string
  /** For example `≤ 25`. */
  readonly goal: string
  readonly ok: boolean
}

/** What every benchmark gives: with --json it is the last line of stdout. */
export interface Report {
  readonly bench: string
  readonly goals: readonly Goal[]
  readonly data: Readonly<Record<string, unknown>>
}

/** A report, and how people are shown it. */
export interface Outcome {
  readonly report: Report
  /** Tables for the terminal. */
  readonly text: string
  /** An SVG document. */
  readonly plot: string
}

export interface BenchOptions {
  /** Fewer rounds: an indication instead of a measurement. */
  readonly quick: boolean
  /** One line of progress. */
  say(line: string): void
}

/** A benchmark that main.ts can run. */
export interface Bench {
  readonly name: string
  readonly summary: string
  run(options: BenchOptions): Promise<Outcome>
}

export function atMost(name: string, value: number, unit: string, limit: number): Goal {
  return { name, value, unit, goal: `≤ ${limit}`, ok: value <= limit }
}

export function atLeast(name: string, value: number, unit: string, limit: number): Goal {
  return { name, value, unit, goal: `≥ ${limit}`, ok: value >= limit }
}

/** Several reports as one: every goal under its benchmark's name, the data of each by it. */
export function combined(bench: string, reports: readonly Report[]): Report {
  return {
    bench,
    goals: reports.flatMap((report) =>
      report.goals.map((goal) => ({ ...goal, name: `${report.bench}: ${goal.name}` })),
    ),
    data: Object.fromEntries(reports.map((report) => [report.bench, report.data])),
  }
}

/** Writes bench/results/NAME.json and .svg; returns their paths. */
export function keep({ report, plot }: Outcome): string[] {
  const folder = join(packageRoot, 'bench/results')
  mkdirSync(folder, { recursive: true })
  const json = join(folder, `${report.bench}.json`)
  const svg = join(folder, `${report.bench}.svg`)
  writeFileSync(json, `${JSON.stringify(report, undefined, 2)}\n`)
  writeFileSync(svg, plot)
  return [json, svg]
}
