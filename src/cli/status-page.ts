import type { AgentStatus } from '../backend-agent/index.js'
import type { FrontendStatus } from '../frontend/index.js'

/** The text of `baton status` for a frontend. @param before the last one, for the rates */
export function frontendPage(now: FrontendStatus, before?: FrontendStatus): string {
  const seconds = before === undefined ? 0 : now.uptimeSeconds - before.uptimeSeconds
  const rate = (count: number, earlier: number | undefined) =>
    seconds > 0 && earlier !== undefined ? ` (${((count - earlier) / seconds).toFixed(0)}/s)` : ''
  const { handoffs, connections } = now
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
      milliseconds(row.rttMs),
    ]),
  )
  const facts = pairs([
    ['listeners', now.listeners.map(listenerText).join(' · ')],
    ['registry', registryText(now.registry)],
    ['', ''],
    ['accepted', `${connections.accepted}${rate(connections.accepted, before?.connections.accepted)}`],
    [
      'handed over',
      `${handoffs.adopted}${rate(handoffs.adopted, before?.handoffs.adopted)} · refused: ${handoffs.refused} · lost: ${handoffs.lost} · in flight: ${handoffs.inFlight} · returned: ${handoffs.returned}`,
    ],
    ['relayed', `${counts(now.relays)} · open now: ${connections.relayedNow}`],
    ['rejected', counts(now.rejected)],
    ['flows', counts(now.flows)],
    // Of other frontends, whose packets came here.
    ['taken over', counts(now.failovers)],
  ])
  const noBackends = now.backends.length === 0 ? '  no backends yet\n' : backends
  return `\n  frontend ${now.id}, version ${now.version}, up ${duration(now.uptimeSeconds)}\n\n${facts}\n${noBackends}`
}

/** The text of `baton status` for an agent. */
export function agentPage(now: AgentStatus): string {
  const channels = table(
    ['frontend', 'channel', 'routes', 'rtt ms'],
    now.channels.map((row) => [
      row.frontend,
      row.up ? 'up' : 'down',
      row.routesVersion === null ? '–' : `version ${row.routesVersion}`,
      milliseconds(row.rttMs),
    ]),
  )
  const facts = pairs([
    ['pools', now.pools.join(', ')],
    ['deliver', deliverText(now)],
    ['control', now.control],
    ['next hops', [now.steerTo.ipv4, now.steerTo.ipv6].filter((hop) => hop !== null).join(', ') || 'none'],
    ['registry', registryText(now.registry)],
    ['', ''],
    ['adopted', `${now.adopted} · open now: ${now.active} · takes at once: ${now.capacity}`],
    ['refused', counts(now.refused)],
    ...(Object.keys(now.fallback).length > 0 ? [['by the fallback', counts(now.fallback)] as const] : []),
    ['closed', counts(now.closed)],
    ['given back', counts(now.returns)],
    ['misplaced', counts(now.misplaced)],
  ])
  const noChannels = now.channels.length === 0 ? '  no frontend has connected yet\n' : channels
  return `\n  agent ${now.id}, version ${now.version}, ${now.state}, up ${duration(now.uptimeSeconds)}\n\n${facts}\n${noChannels}`
}

/** What goes without saying is left out: HTTP from the clients themselves. */
function listenerText({
  name,
  address,
  protocol,
  proxyProtocol,
}: FrontendStatus['listeners'][number]): string {
  const more = [...(protocol === 'http' ? [] : [protocol]), ...(proxyProtocol ? ['PROXY protocol'] : [])]
  return `${name} ${address}${more.length === 0 ? '' : ` (${more.join(', ')})`}`
}

function deliverText({ deliver, application }: AgentStatus): string {
  if (application === null) return deliver
  return deliver === 'adopt'
    ? `adopt, into the accept queue of ${application}`
    : `${deliver}, to ${application}`
}

const numeric = (cell: string | number | undefined) => /^ *[\d.]+$/.test(String(cell))

/** Aligned columns; numbers to the right, with their titles. */
export function table(header: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const widths = header.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => String(row[column] ?? '').length)),
  )
  const right = header.map(
    (_, column) =>
      rows.some((row) => numeric(row[column])) &&
      rows.every((row) => numeric(row[column]) || row[column] === '–'),
  )
  const line = (cells: readonly (string | number)[]) =>
    cells
      .map((cell, column) => {
        const width = widths[column] ?? 0
        return right[column] ? String(cell).padStart(width) : String(cell).padEnd(width)
      })
      .join('  ')
      .trimEnd()
  return [header, ...rows].map((cells) => `  ${line(cells)}\n`).join('')
}

function pairs(rows: readonly (readonly [string, string])[]): string {
  const width = Math.max(...rows.map(([name]) => name.length))
  return rows
    .map(([name, value]) => `  ${name.padEnd(width)}  ${value}`.trimEnd())
    .join('\n')
    .concat('\n')
}

function counts(given: Readonly<Record<string, number>>): string {
  const shown = Object.entries(given).filter(([, count]) => count > 0)
  return shown.length === 0 ? 'none' : shown.map(([name, count]) => `${name}: ${count}`).join(' · ')
}

function milliseconds(value: number | null): string {
  return value === null ? '–' : value.toFixed(2)
}

function registryText(registry: FrontendStatus['registry']): string {
  return [
    registry.kind,
    ...(registry.connected ? [] : ['AWAY']),
    ...(registry.queuedWrites > 0 ? [`writes queued: ${registry.queuedWrites}`] : []),
    ...(registry.droppedWrites > 0 ? [`writes dropped: ${registry.droppedWrites}`] : []),
  ].join(', ')
}

/** 4 s · 3 min 20 s · 5 h 0 min · 12 d 3 h */
export function duration(seconds: number): string {
  const whole = Math.floor(seconds)
  const units = [
    [86_400, 'd'],
    [3600, 'h'],
    [60, 'min'],
    [1, 's'],
  ] as const
  const first = units.findIndex(([size]) => whole >= size)
  if (first < 0) return '0 s'
  let left = whole
  const parts = units.slice(first, first + 2).map(([size, unit]) => {
    const count = Math.floor(left / size)
    left -= count * size
    return `${count} ${unit}`
  })
  return parts.join(' ')
}
