import { type Endpoint, endpointText } from '../../kernel/flow.js'
import type { AgentFacts, ControlFacts, FrontendFacts, RegistryFacts } from './facts.js'
import { Area, type Finding, reason } from './finding.js'
import { accepts, ask, askAgent } from './probe.js'
import { checkSecrets } from './secrets.js'

/** Those whom a frontend talks to: agents and Redis. */
export async function checkFrontendPeers(config: FrontendFacts): Promise<Finding[]> {
  const area = new Area('peers')
  const control = config.control
  if (control !== undefined) {
    checkSecrets(area, control)
    const agents = new Map<string, Endpoint>()
    for (const pool of config.pools.values()) {
      for (const { id, agent } of pool.backends) if (agent !== undefined) agents.set(id, agent)
    }
    await Promise.all([...agents].map(([id, agent]) => checkAgent(area, id, agent, control)))
  }
  await checkRegistry(area, config.registry)
  return area.findings
}

/** Those whom an agent talks to: its application and Redis. */
export async function checkAgentPeers(config: AgentFacts): Promise<Finding[]> {
  const area = new Area('peers')
  checkSecrets(area, config.control)
  if (config.deliver.kind !== 'inline') {
    const { address } = config.deliver
    try {
      await accepts({ host: address.address, port: address.port })
      area.ok('application', `listens on ${endpointText(address)}`)
    } catch (error) {
      area.warn('application', reason(error), `Start the application on ${endpointText(address)}.`)
    }
  }
  await checkRegistry(area, config.registry)
  return area.findings
}

async function checkAgent(area: Area, id: string, agent: Endpoint, control: ControlFacts): Promise<void> {
  const name = `agent ${id}`
  const where = endpointText(agent)
  try {
    const { line, segments } = await askAgent(agent, control)
    const status = /^HTTP\/1\.1 (\d{3})/.exec(line)?.[1]
    if (status === '401') {
      if ('tls' in control) {
        area.fail(
          name,
          `${where} does not accept this certificate`,
          'Have both signed by an authority in caFile.',
        )
      } else
        area.fail(name, `${where} does not know this token`, 'Put the same token on frontends and agents.')
    } else if (status !== '426') {
      const found = `${where} is no agent: it answered "${line.slice(0, 80)}"`
      area.fail(name, found, 'Set the backend’s agent to the control.address of its agent.yaml.')
    } else area.ok(name, `${where} answers and knows this frontend`)
    if (status === '426' && segments !== undefined) checkMtu(area, id, segments)
  } catch (error) {
    const fix = 'Start the agent, and let this host through to its control address (firewall, route).'
    area.fail(name, `${where}: ${reason(error)}`, fix)
  }
}

/** What the agent offered shows its MTU: where it is smaller, packets steered to it do not fit. */
function checkMtu(area: Area, id: string, segments: { agreed: number; offered: number }): void {
  const smaller = segments.agreed < segments.offered
  area.add(
    smaller ? 'warn' : 'ok',
    `MTU to ${id}`,
    smaller
      ? `segments of ${segments.agreed} bytes, while this host offers ${segments.offered}`
      : `the agent takes segments of ${segments.offered} bytes too`,
    'Give both hosts’ interfaces the same MTU.',
  )
}

/** "+PONG", or any refusal in Redis's own protocol: it is there; the password is the configuration's affair. */
async function checkRegistry(area: Area, registry: RegistryFacts): Promise<void> {
  if (registry.kind === 'memory') return
  const { nodes, tls } = registry.target
  for (const node of nodes) {
    const where = `${node.host}:${node.port}`
    try {
      if (tls) await accepts(node)
      else {
        const { line } = await ask(node, 'PING\r\n')
        if (!/^[+-]/.test(line)) throw new Error(`answered "${line.slice(0, 80)}", which is not Redis`)
      }
      area.ok('Redis', `${where} answers`)
    } catch (error) {
      const fix =
        'Start it, or mend registry.url; without it handoffs go on, but hosts do not learn of each other.'
      area.fail('Redis', `${where}: ${reason(error)}`, fix)
    }
  }
}
