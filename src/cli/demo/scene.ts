import type { Host } from '../../lab/index.js'
import { Client } from './client.js'
import type { DemoHosts } from './hosts.js'
import { sha256OfBody } from './origin.js'

export const MIB = 1024 * 1024
export const DOWNLOAD_BYTES = 100 * MIB
/** So slow that the frontend can be killed in the middle. */
export const SLOW = ['--limit-rate', '25M']

export const VIDEO = 'http://cat.video.example/v'
export const SHOP = 'http://shop.example'

/** What the steps of the tour act on. */
export class Scene {
  readonly hosts: DemoHosts
  readonly net: DemoHosts['net']
  readonly client: Client
  readonly client6: Client
  /** Of a body of DOWNLOAD_BYTES. */
  readonly downloadSha256 = sha256OfBody(DOWNLOAD_BYTES)
  /** Every host's counters as they were before the first step. */
  readonly atStart: Map<Host, ReturnType<Host['snmp']>>

  constructor(hosts: DemoHosts) {
    const { net } = hosts
    this.hosts = hosts
    this.net = net
    this.client = new Client(net.client, net.vip4)
    this.client6 = new Client(net.client, net.vip6)
    this.atStart = new Map(
      [net.client, ...net.frontends, ...net.backends].map((host) => [host, host.snmp()] as const),
    )
  }

  /** A frontend's own counts; the active one's by default. */
  async counts(frontend = this.net.active): Promise<Counts> {
    const status = (await this.hosts.status(frontend)) as {
      handoffs: { adopted: number; returned: number }
      failovers: { steered: number }
      relays: Record<string, number>
    }
    const relayed = Object.values(status.relays).reduce((sum, count) => sum + count, 0)
    const { adopted, returned } = status.handoffs
    return { adopted, returned, relayed, takenOver: status.failovers.steered }
  }
}

export interface Counts {
  readonly adopted: number
  readonly returned: number
  readonly relayed: number
  /** Flows that another frontend had handed over. */
  readonly takenOver: number
}
