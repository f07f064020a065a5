import type { FrontendFacts } from './facts.js'
import { Area, type Finding } from './finding.js'
import { type Interface, routeTo, sameAddress } from './interfaces.js'
import { readSysctl } from './read.js'

/** The frontend's own addresses, its interface, and whether steered packets can reach each agent from there. */
export async function checkFrontendNetwork(
  config: FrontendFacts,
  present: readonly Interface[],
): Promise<Finding[]> {
  const area = new Area('network')
  const steered = config.steering?.interface
  if (steered !== undefined) checkSteeringInterface(area, steered, present)
  // Listeners on several ports of one address say the same.
  const seen = new Set<string>()
  for (const { name, address } of config.listeners) {
    if (seen.has(address.address)) continue
    seen.add(address.address)
    checkListener(area, name, address.address, steered, present)
  }
  if (config.listeners.some(({ address }) => address.address.includes(':'))) checkIpv6(area, steered)
  if (steered !== undefined) await checkSegments(area, config, steered)
  return area.findings
}

function checkSteeringInterface(area: Area, name: string, present: readonly Interface[]): void {
  const found = present.find((one) => one.name === name)
  if (found === undefined) {
    const names = present.map((one) => one.name).join(', ')
    area.fail('interface', `there is no ${name}`, `Set steering.interface to one of: ${names}.`)
  } else if (!found.up) area.fail('interface', `${name} is down`, `ip link set ${name} up`)
  else area.ok('interface', `${name} is up, MTU ${found.mtu}`)
}

function checkListener(
  area: Area,
  listener: string,
  address: string,
  steered: string | undefined,
  present: readonly Interface[],
): void {
  const name = `VIP ${address}`
  if (address === '0.0.0.0' || address === '::') {
    const fix = 'Name the VIP itself; only an address that the backends have on lo can be handed over.'
    area.warn(name, `listener ${listener} takes every address of this host`, fix)
    return
  }
  const holder = present.find((one) => one.addresses.some((own) => sameAddress(own, address)))
  const family = address.includes(':') ? 'ipv6' : 'ipv4'
  const length = family === 'ipv6' ? 128 : 32
  if (holder === undefined) {
    const free = readSysctl('net', family, 'ip_nonlocal_bind') === 1
    const add = `ip addr add ${address}/${length} dev ${steered ?? 'IFACE'}`
    if (free) area.warn(name, 'not on this host: a standby?', `${add}, when it is to be active.`)
    else
      area.fail(
        name,
        'not on this host',
        `${add} (or, on a standby, sysctl net.${family}.ip_nonlocal_bind=1)`,
      )
  } else if (steered !== undefined && holder.name !== steered && holder.name !== 'lo') {
    const fix = `Packets are steered at ${steered} only: move the address there, or change steering.interface.`
    area.warn(name, `on ${holder.name}`, fix)
  } else area.ok(name, `on ${holder.name}`)
}

/** IPv6 can be off for all interfaces or for one. */
export function checkIpv6(area: Area, iface: string | undefined): void {
  const off = (scope: string) => readSysctl('net/ipv6/conf', scope, 'disable_ipv6') !== 0
  const where = ['all', ...(iface === undefined ? [] : [iface])].find(off)
  if (where === undefined) area.ok('IPv6', 'enabled')
  else area.fail('IPv6', `off for ${where}`, `sysctl net.ipv6.conf.${where}.disable_ipv6=0`)
}

/** The next hop of a steered packet is the agent itself, so both must be on one segment. */
async function checkSegments(area: Area, config: FrontendFacts, steered: string): Promise<void> {
  const agents = new Set<string>()
  for (const pool of config.pools.values()) {
    if (pool.handoff === 'never') continue
    for (const { agent } of pool.backends) if (agent !== undefined) agents.add(agent.address)
  }
  for (const address of agents) {
    const name = `segment of ${address}`
    const route = await routeTo(address)
    if (route === undefined) area.fail(name, 'no route', 'Give this host an address on the agents’ segment.')
    else if (route.gateway !== null) {
      const fix =
        'Put frontend and agent on one segment (or join them by vxlan); steering sets the next hop, not a route.'
      area.fail(name, `behind the router ${route.gateway}`, fix)
    } else if (route.device !== steered) {
      const fix = `Set steering.interface to ${route.device}, or let the VIP’s packets arrive there.`
      area.fail(name, `reached by ${route.device}, while packets are steered at ${steered}`, fix)
    } else area.ok(name, `directly on ${steered}`)
  }
}
