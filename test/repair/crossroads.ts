import { createServer, type Server, Socket } from 'node:net'
import { inNetns, setHomeNetns } from '../../src/kernel/host.js'
import { type Host, Lab, type Link, type Sysctls } from '../../src/lab/index.js'
import { Connection, End } from './connection.js'

/** How the client reaches the VIP: `mapped` is an IPv4 connection on an AF_INET6 socket. */
export type Family = 'ipv4' | 'ipv6' | 'mapped'

export const vips = { ipv4: '10.9.9.9', ipv6: 'fd09::9', mapped: '10.9.9.9' } as const
export const clientAddresses = { ipv4: '192.0.2.10', ipv6: '2001:db8::10' } as const

/**
 *     client 192.0.2.10 ──── router ──┬── a 10.0.1.2 fd01::2     VIP 10.9.9.9 and fd09::9 on lo of a and b:
 *            2001:db8::10             └── b 10.0.2.2 fd02::2     the router's route says who gets the packets
 *
 * The process itself lives in the client's namespace.
 */
export class Crossroads {
  readonly lab: Lab
  readonly client: Host
  readonly router: Host
  readonly a: Host
  readonly b: Host
  readonly clientLink: Link
  readonly #open: { destroy(): void }[] = []

  constructor(prefix: string, options: { superFrames?: boolean; sysctls?: Sysctls } = {}) {
    this.lab = Lab.create({ prefix, superFrames: options.superFrames ?? true })
    const [client, router, a, b] = this.lab.addHosts(['client', 'router', 'a', 'b'])
    if (!client || !router || !a || !b) throw new Error('four hosts were asked for')
    this.client = client
    this.router = router
    this.a = a
    this.b = b
    for (const host of this.lab.hosts.values()) host.setSysctls(options.sysctls ?? {})
    const [clientLink] = this.lab.links([
      {
        near: { host: client, addresses: ['192.0.2.10/24', '2001:db8::10/64'] },
        far: { host: router, iface: 'client', addresses: ['192.0.2.1/24', '2001:db8::1/64'] },
      },
      {
        near: { host: a, addresses: ['10.0.1.2/24', 'fd01::2/64'] },
        far: { host: router, iface: 'to-a', addresses: ['10.0.1.1/24', 'fd01::1/64'] },
      },
      {
        near: { host: b, addresses: ['10.0.2.2/24', 'fd02::2/64'] },
        far: { host: router, iface: 'to-b', addresses: ['10.0.2.1/24', 'fd02::1/64'] },
      },
    ])
    if (!clientLink) throw new Error('three links were asked for')
    this.clientLink = clientLink
    router.setSysctls({ 'net.ipv4.ip_forward': 1, 'net.ipv6.conf.all.forwarding': 1 })
    client.ip(['route add default via 192.0.2.1', 'route add default via 2001:db8::1'])
    a.ip(['route add default via 10.0.1.1', 'route add default via fd01::1'])
    b.ip(['route add default via 10.0.2.1', 'route add default via fd02::1'])
    for (const host of [a, b]) {
      host.addAddress('lo', `${vips.ipv4}/32`)
      host.addAddress('lo', `${vips.ipv6}/128`)
    }
    setHomeNetns(client.path)
    inNetns(client.path, () => {})
    this.direct(a)
  }

  /** From now on the client's packets to the VIP go there. */
  direct(to: Host): void {
    const hop = to === this.a ? ['10.0.1.2', 'fd01::2'] : ['10.0.2.2', 'fd02::2']
    this.router.ip([
      `route replace ${vips.ipv4}/32 via ${hop[0]}`,
      `route replace ${vips.ipv6}/128 via ${hop[1]}`,
    ])
  }

  /** Runs something that needs more than one tick with the process in another host's namespace. */
  async within<T>(host: Host, run: () => Promise<T>): Promise<T> {
    setHomeNetns(host.path)
    inNetns(host.path, () => {})
    try {
      return await run()
    } finally {
      setHomeNetns(this.client.path)
      inNetns(this.client.path, () => {})
    }
  }

  async listen(host: Host, family: Family, port: number): Promise<Server> {
    const server = createServer({ pauseOnConnect: true, allowHalfOpen: true })
    const address = { ipv4: vips.ipv4, ipv6: vips.ipv6, mapped: '::' }[family]
    await this.within(host, async () => {
      server.listen(port, address)
      await new Promise((resolve, reject) => server.once('listening', resolve).once('error', reject))
    })
    return server
  }

  /** A real handshake with the VIP, which a listener on host a takes. */
  async connect(family: Family = 'ipv4'): Promise<Connection> {
    this.direct(this.a)
    const server = await this.listen(this.a, family, 0)
    const address = server.address()
    if (typeof address !== 'object' || address === null) throw new Error('no port')
    const accepted = new Promise<Socket>((resolve) => server.once('connection', resolve))
    const client = new Socket({ allowHalfOpen: true })
    client.pause() // so that Node reads nothing by itself
    client.connect(address.port, vips[family])
    await new Promise((resolve, reject) => client.once('connect', resolve).once('error', reject))
    const socket = await accepted
    server.close()
    const connection = new Connection(this, End.ofSocket(client, 1, 2), End.ofSocket(socket, 2, 1))
    this.#open.push(connection)
    return connection
  }

  async dispose(): Promise<void> {
    for (const connection of this.#open) connection.destroy()
    await this.lab.dispose()
  }
}
