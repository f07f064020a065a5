import { BatonError } from '../errors/index.js'
import type { Host } from './host.js'
import { Lab, type LabOptions, type LinkPlan } from './lab.js'
import type { Link } from './link.js'

export interface TopologyOptions extends LabOptions {
  /** 1–9, default 2; the first has the VIP. */
  readonly frontends?: number
  /** 1–80, default 3. */
  readonly backends?: number
  /** A host for Redis too. Default false. */
  readonly redis?: boolean
  /** False leaves VIP, ARP and rp_filter of the backends to whoever is tested (the agent sets them itself). Default true. */
  readonly prepareBackends?: boolean
}

/** Addresses of the standard topology. 192.0.2.0/24 and 2001:db8::/32 are for documentation (RFC 5737, RFC 3849). */
export const standardAddresses = {
  vip4: '10.0.0.100',
  vip6: 'fd00::100',
  router: { ipv4: '10.0.0.254', ipv6: 'fd00::fe' },
  client: { ipv4: '192.0.2.10', ipv6: '2001:db8::10' },
} as const

/**
 *     client ──────────── router ──┬── frontend1  10.0.0.1  fd00::1    (VIP 10.0.0.100, fd00::100)
 *     192.0.2.10          │        ├── frontend2  10.0.0.2  fd00::2
 *     2001:db8::10        br0      ├── backend1   10.0.0.11 fd00::11   (VIP on lo)
 *                   10.0.0.254     ├── backend2 …
 *                   fd00::fe       └── redis      10.0.0.5  fd00::5
 *
 * Every host calls its own end of its link eth0; at the router the other end has the host's name (the client's: client).
 */
export interface StandardTopology {
  readonly lab: Lab
  readonly client: Host
  readonly router: Host
  readonly frontends: readonly Host[]
  readonly backends: readonly Host[]
  readonly redis: Host | undefined
  readonly vip4: string
  readonly vip6: string
  /** By the host's name; near is the host, far the router. @throws BatonError BATON_LAB_NAME for an unknown host */
  link(host: Host): Link
  /** The frontend that has the VIP. */
  readonly active: Host
  /**
   * Takes the VIP from the active frontend to another and tells the segment (gratuitous ARP, unsolicited NA). When it
   * returns, the router sends to the other. @throws BatonError BATON_LAB_COMMAND when it does not within some seconds
   */
  moveVip(to: Host): void
  dispose(): Promise<void>
}

/** Builds the whole topology; takes well under a second. @throws BatonError BATON_LAB_COMMAND, BATON_LAB_NAME */
export function standardTopology(options: TopologyOptions): StandardTopology {
  const lab = Lab.create(options)
  try {
    return build(lab, options)
  } catch (error) {
    lab.disposeNow()
    throw error
  }
}

function build(lab: Lab, options: TopologyOptions): StandardTopology {
  const frontendCount = between('frontends', options.frontends ?? 2, 1, 9)
  const backendCount = between('backends', options.backends ?? 3, 1, 80)
  const numbered = (name: string, count: number) =>
    Array.from({ length: count }, (_, index) => `${name}${index + 1}`)
  const frontendNames = numbered('frontend', frontendCount)
  const backendNames = numbered('backend', backendCount)
  const lanNames = [...frontendNames, ...backendNames, ...(options.redis ? ['redis'] : [])]
  lab.addHosts(['client', 'router', ...lanNames])
  const { client: clientAddress, router: routerAddress, vip4, vip6 } = standardAddresses
  const client = lab.host('client')
  const router = lab.host('router')
  const frontends = frontendNames.map((name) => lab.host(name))
  const backends = backendNames.map((name) => lab.host(name))
  const redis = options.redis ? lab.host('redis') : undefined

  const lan = (host: Host, number: number): LinkPlan => ({
    near: { host, addresses: [`10.0.0.${number}/24`, `fd00::${number}/64`] },
    far: { host: router, iface: host.name },
  })
  const links = lab.links([
    {
      near: { host: client, addresses: [`${clientAddress.ipv4}/24`, `${clientAddress.ipv6}/64`] },
      far: { host: router, iface: 'client', addresses: ['192.0.2.1/24', '2001:db8::1/64'] },
    },
    ...frontends.map((host, index) => lan(host, index + 1)),
    ...backends.map((host, index) => lan(host, index + 11)),
    ...(redis === undefined ? [] : [lan(redis, 5)]),
  ])
  router.ip([
    'link add br0 type bridge stp_state 0 forward_delay 0',
    ...lanNames.map((name) => `link set ${name} master br0`),
    `addr add ${routerAddress.ipv4}/24 dev br0`,
    `addr add ${routerAddress.ipv6}/64 dev br0 nodad`,
    'link set br0 up',
  ])
  router.setSysctls({ 'net.ipv4.ip_forward': 1, 'net.ipv6.conf.all.forwarding': 1 })
  client.ip(['route add default via 192.0.2.1', 'route add default via 2001:db8::1'])
  for (const name of lanNames) {
    const gateways = [routerAddress.ipv4, routerAddress.ipv6]
    lab.host(name).ip(gateways.map((gateway) => `route add default via ${gateway}`))
  }
  if (options.prepareBackends ?? true) for (const backend of backends) prepareBackend(backend)

  const byHost = new Map(links.map((link) => [link.near.host, link]))
  let active = frontends[0]!
  takeVip(active)
  return {
    lab,
    client,
    router,
    frontends,
    backends,
    redis,
    vip4,
    vip6,
    link(host) {
      const link = byHost.get(host)
      if (link === undefined)
        throw new BatonError('BATON_LAB_NAME', { detail: `${host.name} has no link of its own` })
      return link
    },
    get active() {
      return active
    },
    moveVip(to) {
      for (const address of vips) active.deleteAddress('eth0', address)
      active = to
      takeVip(to)
      untilReachedAt(router, to)
    },
    dispose: () => lab.dispose(),
  }
}

const vips = [`${standardAddresses.vip4}/32`, `${standardAddresses.vip6}/128`]

/** What the agent's host needs so that it owns the VIP for its own sockets and never answers ARP for it. */
function prepareBackend(backend: Host): void {
  backend.setSysctls({
    'net.ipv4.conf.all.arp_ignore': 1,
    'net.ipv4.conf.all.arp_announce': 2,
  })
  for (const address of vips) backend.addAddress('lo', address)
}

function takeVip(frontend: Host): void {
  for (const address of vips) frontend.addAddress('eth0', address)
  announce(frontend)
}

/**
 * Has the kernel tell the segment about every address of eth0: with arp_notify and ndisc_notify on, setting the link's
 * own address again sends a gratuitous ARP request and an unsolicited neighbour advertisement (net/ipv4/devinet.c,
 * net/ipv6/ndisc.c: NETDEV_CHANGEADDR).
 */
function announce(host: Host): void {
  host.setSysctls({ 'net.ipv4.conf.eth0.arp_notify': 1, 'net.ipv6.conf.eth0.ndisc_notify': 1 })
  host.ip([`link set eth0 address ${host.mac()}`])
}

/** The router takes the announcement in when its turn comes, on a busy machine after packets that are on the way already. */
function untilReachedAt(router: Host, frontend: Host): void {
  const mac = frontend.mac()
  const isStale = (vip: string) => {
    const known = router.neighbour(vip, 'br0')
    return known !== undefined && known !== mac
  }
  for (let round = 0; round < 500; round++) {
    if (![standardAddresses.vip4, standardAddresses.vip6].some(isStale)) return
    // Each look takes some milliseconds; an announcement may have been lost to a full queue.
    if (round % 100 === 99) announce(frontend)
  }
  const detail = `the router does not learn that the VIP is on ${frontend.name} now`
  throw new BatonError('BATON_LAB_COMMAND', { detail })
}

function between(what: string, value: number, least: number, most: number): number {
  if (Number.isInteger(value) && value >= least && value <= most) return value
  throw new BatonError('BATON_LAB_NAME', { detail: `${what} must be ${least}–${most}, not ${value}` })
}
