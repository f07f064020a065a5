import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { request } from 'undici'
import type { FrontendStatus } from '../frontend/index.js'

const REFRESH_MS = 1000

/** `baton status`: a live table on a terminal, one table elsewhere, or the JSON as it is. */
export async function run(argv: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      admin: { type: 'string', default: 'http://127.0.0.1:9900' },
      once: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
    },
  })
  const live = process.stdout.isTTY && !values.once && !values.json
  let before: FrontendStatus | undefined
  for (;;) {
    const text = await fetchStatus(values.admin)
    if (text === undefined) return 1
    if (values.json) {
      process.stdout.write(`${text}\n`)
      return 0
    }
    const status: unknown = JSON.parse(text)
    const page = isFrontend(status) ? frontendPage(status, before) : agentPage(status)
    if (!live) {
      process.stdout.write(page)
      return 0
    }
    before = isFrontend(status) ? status : undefined
    process.stdout.write(`\u001b[H\u001b[2J${page}\n  every second; Ctrl-C ends\n`)
    await sleep(REFRESH_MS)
  }
}

async function fetchStatus(admin: string): Promise<string | undefined> {
  const url = new URL('/v1/status', admin.includes('://') ? admin : `http://${admin}`)
  try {
    const answer = await request(url, { headersTimeout: 3000, bodyTimeout: 3000 })
    const text = await answer.body.text()
    if (answer.statusCode === 200) return text
    process.stderr.write(`baton: ${url.href} answered ${answer.statusCode}; is this Baton's admin address?\n`)
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    process.stderr.write(
      `baton: nothing answers at ${url.href} (${why}); give the admin address with --admin\n`,
    )
  }
  return undefined
}

function isFrontend(status: unknown): status is FrontendStatus {
  return typeof status === 'object' && status !== null && 'role' in status && status.role === 'frontend'
}

/** Aligned columns; numbers to the right. */
export function table(header: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const widths = header.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => String(row[column] ?? '').length)),
  )
  const line = (cells: readonly (string | number)[]) =>
    cells
      .map((cell, column) =>
        typeof cell === 'number'
          ? String(cell).padStart(widths[column] ?? 0)
          : cell.padEnd(widths[column] ?? 0),
      )
      .join('  ')
      .trimEnd()
  return [header, ...rows].map((cells) => `  ${line(cells)}\n`).join('')
}

function pairs(counts: Readonly<Record<string, number>>): string {
  const shown = Object.entries(counts).filter(([, count]) => count > 0)
  return shown.length === 0 ? 'none' : shown.map(([name, count]) => `${name} ${count}`).join(' · ')
}

function frontendPage(now: FrontendStatus, before: FrontendStatus | undefined): string {
  const seconds = before === undefined ? 0 : now.uptimeSeconds - before.uptimeSeconds
  const rate = (count: number, earlier: number | undefined) =>
    seconds > 0 && earlier !== undefined ? ` (${((count - earlier) / seconds).toFixed(0)}/s)` : ''
  const registry = `${now.registry.kind}${now.registry.connected ? '' : ', AWAY'}${
    now.registry.queuedWrites > 0 ? `, ${now.registry.queuedWrites} writes queued` : ''
  }`
  const backends = table(
    ['backend', 'pools', 'state', 'agent', 'address', 'weight', 'active', 'in flight', 'relayed', 'rtt ms'],
    now.backends.map((row) => [
      row.id,
      row.pools.join(','),
      row.state,
      row.agent ?? '–',
      row.address ?? '–',
      row.weight,
      row.active,
      row.inFlight,
      row.relayed,
      row.rttMs === null ? '–' : row.rttMs.toFixed(2),
    ]),
  )
  return `
  ${now.id}   ${now.version}   up ${duration(now.uptimeSeconds)}   registry ${registry}
  listeners   ${now.listeners.map((row) => `${row.name} ${row.address}`).join(' · ')}

  accepted    ${now.connections.accepted}${rate(now.connections.accepted, before?.connections.accepted)}
  handed over ${now.handoffs.adopted}${rate(now.handoffs.adopted, before?.handoffs.adopted)}   refused ${now.handoffs.refused}   lost ${now.handoffs.lost}   in flight ${now.handoffs.inFlight}   returned ${now.handoffs.returned}
  relayed     ${pairs(now.relays)}   (${now.connections.relayedNow} now)
  rejected    ${pairs(now.rejected)}
  flows       ${pairs(now.flows)}

${backends}`
}

/** An agent's status is flat enough to be shown as it is. */
function agentPage(status: unknown): string {
  if (typeof status !== 'object' || status === null) return `${String(status)}\n`
  const rows = Object.entries(status).map(([name, value]): [string, string] => [
    name,
    typeof value === 'object' ? JSON.stringify(value) : String(value),
  ])
  return `\n${table(['agent', ''], rows)}`
}

function duration(seconds: number): string {
  const whole = Math.floor(seconds)
  const parts = [
    Math.floor(whole / 86400),
    Math.floor(whole / 3600) % 24,
    Math.floor(whole / 60) % 60,
    whole % 60,
  ]
  const names = ['d', 'h', 'm', 's']
  const first = parts.findIndex((part) => part > 0)
  return (first < 0 ? ['0s'] : parts.map((part, index) => `${part}${names[index]}`).slice(first)).join(' ')
}
