import type { AgentFacts } from './facts.js'
import { Area, type Finding, type Verdict } from './finding.js'
import { checkIpv6 } from './frontend-network.js'
import { type Interface, sameAddress } from './interfaces.js'
import { readSysctl } from './read.js'

/** What a backend host needs to own the VIP for its sockets, and to keep quiet about it on the segment. */
export function checkAgentNetwork(config: AgentFacts, present: readonly Interface[]): Finding[] {
  const area = new Area('network')
  const iface = segmentInterface(area, config, present)
  // What the agent puts in place at its start is not there before.
  const missing: Verdict = config.hostSetup === 'apply' ? 'warn' : 'fail'
  for (const vip of config.vips) checkVip(area, vip, missing, present)
  if (iface !== undefined && config.vips.some((vip) => !vip.includes(':'))) {
    checkArp(area, iface.name, missing)
    checkReversePath(area, iface.name)
  }
  if (config.vips.some((vip) => vip.includes(':'))) checkIpv6(area, iface?.name)
  checkConntrack(area)
  return area.findings
}

function segmentInterface(
  area: Area,
  config: AgentFacts,
  present: readonly Interface[],
): Interface | undefined {
  const { address } = config.control.address
  const found = present.find((one) =>
    config.interface === undefined
      ? one.addresses.some((own) => sameAddress(own, address))
      : one.name === config.interface,
  )
  if (found === undefined) {
    const what =
      config.interface === undefined ? `no interface has ${address}` : `there is no ${config.interface}`
    area.fail(
      'interface',
      what,
      'Set control.address to an address of this host, or interface to its segment.',
    )
  } else if (!found.up) area.fail('interface', `${found.name} is down`, `ip link set ${found.name} up`)
  else area.ok('interface', `${found.name} is up, MTU ${found.mtu}`)
  return found
}

function checkVip(area: Area, vip: string, missing: Verdict, present: readonly Interface[]): void {
  const name = `VIP ${vip}`
  const add = `ip addr add ${vip}/${vip.includes(':') ? 128 : 32} dev lo`
  const holder = present.find((one) => one.addresses.some((own) => sameAddress(own, vip)))
  if (holder?.name === 'lo') area.ok(name, 'on lo')
  else if (holder === undefined) area.add(missing, name, 'not on lo', bySelf(missing, add))
  else {
    const found = `on ${holder.name}, where this host answers for it as if it were the frontend`
    area.fail(name, found, `ip addr del ${vip} dev ${holder.name}; ${add}`)
  }
}

/** The kernel uses the larger of the value for all interfaces and the one for this. */
function effective(iface: string, name: string): number {
  const value = (scope: string) => readSysctl('net/ipv4/conf', scope, name) ?? 0
  return Math.max(value('all'), value(iface))
}

function checkArp(area: Area, iface: string, missing: Verdict): void {
  const ignore = effective(iface, 'arp_ignore')
  const announce = effective(iface, 'arp_announce')
  area.add(
    ignore > 0 ? 'ok' : missing,
    'arp_ignore',
    `${ignore} on ${iface}${ignore > 0 ? '' : ': this host answers ARP for the VIP and takes it from the frontend'}`,
    bySelf(missing, `sysctl net.ipv4.conf.${iface}.arp_ignore=1`),
  )
  area.add(
    announce === 2 ? 'ok' : missing,
    'arp_announce',
    `${announce} on ${iface}${announce === 2 ? '' : ': this host names the VIP in its own ARP requests'}`,
    bySelf(missing, `sysctl net.ipv4.conf.${iface}.arp_announce=2`),
  )
}

function bySelf(missing: Verdict, command: string): string {
  return missing === 'warn' ? `The agent does this at its start: ${command}` : command
}

function checkReversePath(area: Area, iface: string): void {
  const filter = effective(iface, 'rp_filter')
  const fix = `sysctl net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.${iface}.rp_filter=2`
  if (filter !== 1) area.ok('rp_filter', `${filter} on ${iface}`)
  else area.warn('rp_filter', `strict on ${iface}: drops clients that are not routed back by ${iface}`, fix)
}

/** Connection tracking meets handed-over connections in the middle; only its loose mode takes them. */
function checkConntrack(area: Area): void {
  const loose = readSysctl('net/netfilter/nf_conntrack_tcp_loose')
  if (loose === undefined) area.ok('conntrack', 'not loaded')
  else if (loose === 1) area.ok('conntrack', 'takes connections in the middle')
  else {
    const fix = 'sysctl net.netfilter.nf_conntrack_tcp_loose=1, or exempt the VIP (nft: notrack).'
    area.fail('conntrack', 'calls connections that it did not see begin invalid', fix)
  }
}
