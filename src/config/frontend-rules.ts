import { canonicalEndpoint, formatEndpoint } from './endpoint.js'
import type { FrontendFile } from './frontend-schema.js'
import type { KeyPath, Reporter } from './problems.js'
import { checkProtocols } from './protocol-rules.js'
import { coversRoute } from './route-pattern.js'
import { suggest } from './suggest.js'

/** What the schema cannot say of a frontend.yaml: that its parts fit together. */
export function checkFrontend(file: FrontendFile, inProgram: boolean, report: Reporter): void {
  checkListeners(file, inProgram, report)
  checkRoutes(file, report)
  checkProtocols(file, report)
  checkPools(file, report)
  checkNeeds(file, report)
}

/** Reports every value that was there before, at the later of the two places. */
export function refuseTwice(
  entries: readonly { value: string | undefined; path: KeyPath }[],
  say: (value: string) => string,
  report: Reporter,
): void {
  const seen = new Set<string>()
  for (const { value, path } of entries) {
    if (value === undefined) continue
    if (seen.has(value)) report.error(path, say(value))
    seen.add(value)
  }
}

function checkListeners({ listeners }: FrontendFile, inProgram: boolean, report: Reporter): void {
  for (const [index, { protocol }] of listeners.entries()) {
    if (protocol !== 'custom' || inProgram) continue
    const message = 'custom is for createFrontend() inside a Node program; expected http, tls or tcp'
    report.error(['listeners', index, 'protocol'], message)
  }
  refuseTwice(
    listeners.map(({ name }, index) => ({ value: name, path: ['listeners', index, 'name'] })),
    (name) => `another listener is called "${name}" too`,
    report,
  )
  refuseTwice(
    listeners.map(({ address }, index) => ({
      value: address.port === 0 ? undefined : canonicalEndpoint(address),
      path: ['listeners', index, 'address'],
    })),
    (address) => `another listener has ${address} too`,
    report,
  )
  for (const [index, { proxyProtocol }] of listeners.entries()) {
    for (const [at, { bits }] of proxyProtocol?.from.entries() ?? []) {
      if (bits > 0) continue
      report.warning(
        ['listeners', index, 'proxyProtocol', 'from', at],
        'is everybody: whoever reaches this listener may claim to be any client',
      )
    }
  }
}

function checkRoutes({ routes, pools, registry }: FrontendFile, report: Reporter): void {
  const names = Object.keys(pools)
  for (const [index, route] of routes.entries()) {
    if (!Object.hasOwn(pools, route.pool)) {
      const meant = suggest(route.pool, names)
      const known = names.length === 0 ? 'pools is empty' : `the pools are ${names.join(', ')}`
      const message = `names no pool of this file; ${meant === undefined ? known : `did you mean "${meant}"?`}`
      // Agents that announce themselves in Redis may well fill a pool that no file lists.
      if (registry.kind === 'memory') report.error(['routes', index, 'pool'], message)
      else if (meant !== undefined) report.warning(['routes', index, 'pool'], message)
    }
    const cover = routes.findIndex((earlier, at) => at < index && coversRoute(earlier.match, route.match))
    if (cover >= 0) {
      report.warning(
        ['routes', index],
        `is never reached: routes[${cover}] matches all of its requests first`,
      )
    }
  }
}

function checkPools({ pools, registry }: FrontendFile, report: Reporter): void {
  const byId = new Map<string, { text: string; pool: string }>()
  const byAgent = new Map<string, string>()
  for (const [poolName, pool] of Object.entries(pools)) {
    const at = (...rest: (string | number)[]) => ['pools', poolName, ...rest]
    const entries = [...pool.backends.entries()]
    refuseTwice(
      entries.map(([index, { id }]) => ({ value: id, path: at('backends', index, 'id') })),
      (id) => `another backend of this pool has the id "${id}" too`,
      report,
    )
    refuseTwice(
      entries.map(([index, { address }]) => ({
        value: address && canonicalEndpoint(address),
        path: at('backends', index, 'address'),
      })),
      (address) => `another backend of this pool has the address ${address} too`,
      report,
    )
    for (const [index, backend] of entries) {
      const agent = backend.agent && canonicalEndpoint(backend.agent)
      const text = JSON.stringify([
        agent,
        backend.address && canonicalEndpoint(backend.address),
        backend.weight,
      ])
      const known = byId.get(backend.id)
      if (known !== undefined && known.pool !== poolName && known.text !== text) {
        const message = `"${backend.id}" stands in pool "${known.pool}" with another agent, address or weight`
        report.error(at('backends', index, 'id'), message)
      }
      byId.set(backend.id, { text, pool: poolName })
      const owner = agent === undefined ? undefined : byAgent.get(agent)
      if (agent !== undefined && owner !== undefined && owner !== backend.id) {
        report.error(at('backends', index, 'agent'), `${agent} is the agent of backend "${owner}" already`)
      }
      if (agent !== undefined) byAgent.set(agent, backend.id)
      if (backend.agent === undefined && backend.address === undefined) {
        report.error(at('backends', index), 'has neither agent nor address: nothing can reach it')
      } else if (pool.handoff === 'never' && backend.address === undefined) {
        report.error(at('backends', index), 'has no address, and this pool only relays (handoff: never)')
      }
    }
    if (registry.kind !== 'memory') continue
    if (pool.backends.length === 0) {
      report.warning(
        at(),
        'has no backends, and with a memory registry none will join: its requests get 503',
        'key',
      )
    } else if (
      pool.handoff === 'auto' &&
      pool.backends.every(({ agent, address }) => agent === undefined && address !== undefined)
    ) {
      report.warning(
        at(),
        'says handoff: auto (the default), but no backend has an agent: all is relayed; give agents, or say handoff: never',
        'key',
      )
    }
  }
}

/** Handoffs need steering and a way to prove who we are. */
function checkNeeds(file: FrontendFile, report: Reporter): void {
  const { registry, pools, routes } = file
  const handsOver = Object.entries(pools).find(
    ([, pool]) =>
      pool.handoff === 'auto' &&
      (registry.kind === 'redis' || pool.backends.some(({ agent }) => agent !== undefined)),
  )?.[0]
  const implied =
    registry.kind === 'redis' ? routes.find(({ pool }) => !Object.hasOwn(pools, pool))?.pool : undefined
  const pool = handsOver ?? implied
  if (pool === undefined) return
  if (file.steering === undefined) {
    report.error([], `lacks "steering": pool "${pool}" hands connections over, so packets must be steered`)
  }
  if (file.control === undefined) {
    report.error(
      [],
      `lacks "control": pool "${pool}" hands connections over, so its agents must know this frontend`,
    )
  }
  for (const [index, { name, address }] of file.listeners.entries()) {
    if (address.address !== '0.0.0.0' && address.address !== '::') continue
    report.warning(
      ['listeners', index, 'address'],
      `"${name}" listens on every address (${formatEndpoint(address)}); the agents need the VIPs by name`,
    )
  }
}
