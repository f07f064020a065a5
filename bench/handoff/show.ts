import type { Goal } from '../report.js'
import { short, spread } from '../statistics.js'
import { barCharts } from '../svg.js'
import { goalTable, table } from '../table.js'
import { firstByteOf, loadOf, type Measured, phasesOf } from './results.js'
import { type Calls, sumOf } from './trace-rules.js'

/** The phases in their order, by the names under which they are measured; and under which the trace has their calls. */
const frontendPhases = [
  { label: 'gate: accept, peek', one: 'gate/1', sixteen: 'gate/16', calls: 'gate' },
  { label: 'head', one: 'head/short', sixteen: 'head/short', calls: '' },
  { label: 'choose', one: 'choose/1', sixteen: 'choose/16', calls: '' },
  { label: 'park', one: 'park/1', sixteen: 'park/16', calls: 'park' },
  { label: 'freeze + dump', one: 'freeze/1', sixteen: 'freeze/16', calls: 'freeze' },
  { label: 'offer: encode, send', one: 'offer/1', sixteen: 'offer/16', calls: 'offer' },
  { label: 'steer', one: 'steer/1', sixteen: 'steer/16', calls: 'steer' },
  { label: 'close: discard', one: 'discard/1', sixteen: 'discard/16', calls: 'close' },
  { label: 'CLOSED → linger', one: 'linger/1', sixteen: 'linger/16', calls: 'linger' },
] as const
const agentPhases = [
  { label: 'decode', one: 'decode/1', sixteen: 'decode/16', calls: 'receive' },
  { label: 'journal', one: 'journal/1', sixteen: 'journal/16', calls: 'journal' },
  { label: 'restore, live', one: 'restore/1', sixteen: 'restore/16', calls: 'restore' },
  { label: "deliver: to 'connection'", one: 'deliver/1', sixteen: 'deliver/16', calls: 'deliver' },
  { label: "deliver: to 'request'", one: 'deliver to request/1', sixteen: '', calls: '' },
] as const

/** Before the first byte leaves the backend. */
const onPath = new Set<string>([
  ...['gate: accept, peek', 'head', 'choose', 'park', 'freeze + dump', 'offer: encode, send'],
  ...['decode', 'journal', 'restore, live', "deliver: to 'connection'"],
])

export function tables(measured: Measured, goals: readonly Goal[]): string {
  return [
    goalTable(goals),
    phaseTable('Frontend, µs', frontendPhases, measured, measured.single.frontend),
    phaseTable('Agent, µs', agentPhases, measured, measured.single.agent),
    liveTable(measured),
    loadTable(measured),
    firstByteTable(measured),
    callsTable(measured),
  ].join('\n\n')
}

function phaseTable(
  title: string,
  phases: typeof frontendPhases | typeof agentPhases,
  { rounds }: Measured,
  calls: Calls,
): string {
  const figures = phasesOf(rounds)
  const rows = phases.map(({ label, one, sixteen, calls: traced }) => [
    label,
    figures[one] === undefined ? '' : spread(figures[one].median),
    figures[one] === undefined ? '' : short(figures[one].p99.median),
    figures[sixteen] === undefined ? '' : spread(figures[sixteen].median),
    traced === '' ? '0' : short(sumOf(calls[traced] ?? {})),
  ])
  return table([title, 'one at a time', 'p99', 'of 16 at once', 'system calls'], rows)
}

function liveTable({ live }: Measured): string {
  const rows = (['frontend', 'agent'] as const).flatMap((role) =>
    Object.entries(live[role]).map(([phase, { meanUs, medianUs, p99Us }]) => [
      `${role}: ${phase}`,
      short(meanUs),
      short(medianUs),
      short(p99Us),
    ]),
  )
  return table(['live processes under load, µs', 'mean', 'p50', 'p99'], rows)
}

function loadTable({ rounds }: Measured): string {
  const row = (label: string, figure: Parameters<typeof loadOf>[1]) => [label, spread(loadOf(rounds, figure))]
  return table(
    ['load of 1 KiB answers, Connection: close', ''],
    [
      row('handoffs per second of frontend CPU', (load) => load.handoffsPerFrontendCpuSecond),
      row('  user, µs a handoff', (load) => (load.frontendCpu.user / load.handoffs) * 1e6),
      row('  system, µs a handoff', (load) => (load.frontendCpu.system / load.handoffs) * 1e6),
      row('handoffs per second of agent CPU (with application)', (load) => load.handoffsPerAgentCpuSecond),
      row('handoffs per second here, everything on this machine', (load) => load.handoffsPerSecond),
      row('errors', (load) => load.errors),
    ],
  )
}

function firstByteTable({ rounds }: Measured): string {
  const ways = Object.entries(firstByteOf(rounds))
  const rows = ways.map(([name, { p50, p99, added }]) => [
    name,
    spread(p50),
    spread(p99),
    name === 'direct' ? '' : spread(added),
  ])
  return table(['time to first byte, µs', 'p50', 'p99', 'added at the median'], rows)
}

function callsTable({ single, loaded }: Measured): string {
  const all = (calls: Calls) =>
    sumOf(Object.fromEntries(Object.entries(calls).map(([phase, names]) => [phase, sumOf(names)])))
  return table(
    ['system calls per handoff', 'one at a time', 'under load'],
    [
      ['frontend', short(all(single.frontend)), short(sumOf(loaded.frontend))],
      ['agent, application in it', short(all(single.agent)), short(sumOf(loaded.agent))],
    ],
  )
}

export function plot({ rounds }: Measured): string {
  const figures = phasesOf(rounds)
  const bars = (phases: typeof frontendPhases | typeof agentPhases) =>
    phases
      .filter(({ one, label }) => figures[one] !== undefined && label !== "deliver: to 'request'")
      .map(({ label, one, sixteen }) => {
        const single = figures[one]?.median.median ?? 0
        const shared = figures[sixteen]?.median.median ?? single
        const kind = onPath.has(label) ? 0 : 2
        const parts = [
          { value: Math.min(shared, single), kind },
          { value: Math.max(0, single - shared), kind: 1 },
        ]
        return { label, parts, note: `${short(single)} · ${short(shared)}` }
      })
  const legend = ['before the first byte', 'more when alone', 'after it']
  const ways = Object.entries(firstByteOf(rounds)).map(([label, { p50, p99 }]) => ({
    label,
    parts: [
      { value: p50.median, kind: 0 },
      { value: Math.max(0, p99.median - p50.median), kind: 1 },
    ],
    note: `${short(p50.median)} · ${short(p99.median)}`,
  }))
  return barCharts('One handoff', [
    { title: 'Frontend, alone · of 16 at once', unit: 'µs', bars: bars(frontendPhases), legend },
    { title: 'Agent, alone · of 16 at once', unit: 'µs', bars: bars(agentPhases), legend },
    { title: 'Time to first byte, p50 · p99', unit: 'µs', bars: ways, legend: ['p50', 'up to p99'] },
  ])
}
