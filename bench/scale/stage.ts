import { fileURLToPath } from 'node:url'
import { controlPort, Deployment, type Host } from '../../src/lab/index.js'
import type { Get } from '../client/index.js'
import { giveClientAddresses } from '../client/index.js'
import type { FarmPlan } from './farm-main.js'
import { Filling } from './filling.js'

const farm = fileURLToPath(new URL('./farm-main.js', import.meta.url))
export const agentCounts = [1, 10, 100] as const
export type AgentCount = (typeof agentCounts)[number]
const MAX_FLOWS = 2 ** 21
/** So that the table holds what was put there and the handoffs of the last second, and ending them is measured too. */
const LINGER_MS = 1000
const ADMIN_PORT = 20_000

/** One frontend, and how many agents it has. */
export interface Measured {
  readonly agents: AgentCount
  readonly name: string
  readonly host: Host
  readonly target: Get
  readonly filling: Filling
}

/**
 * client – router – three frontends, each with a VIP of its own, and one host with a hundred addresses and as many agents,
 * of which the first frontend has one in its pool, the second ten, the third all.
 */
export class ScaleStage extends Deployment {
  readonly frontends: Measured[] = []
  sources: readonly string[] = []

  constructor() {
    super({ prefix: 'btscale', frontends: agentCounts.length, backends: 1, prepareBackends: true })
  }

  async startAll(): Promise<void> {
    this.sources = giveClientAddresses(this.net.client)
    const vips = agentCounts.map((_, index) => `10.0.0.${100 + index}`)
    const addresses = Array.from({ length: Math.max(...agentCounts) }, (_, index) => `10.0.0.${120 + index}`)
    const host = this.net.backends[0]!
    for (const address of addresses) host.addAddress('eth0', `${address}/24`)
    for (const vip of vips.slice(1)) host.addAddress('lo', `${vip}/32`)
    const plan: FarmPlan = {
      agents: addresses.map((address, index) => ({
        id: `agent-${index}`,
        pools: ['web'],
        control: { address: `${address}:${controlPort}`, tokenFile: this.file('token') },
        vips,
        hostSetup: 'off',
        admin: { address: `127.0.0.1:${ADMIN_PORT + index}` },
        log: { level: 'warn' },
      })),
    }
    await this.start('farm', host, process.execPath, [farm, JSON.stringify(plan)]).waitFor({
      output: /agents are there/,
      timeoutMs: 60_000,
    })
    for (const [index, agents] of agentCounts.entries()) {
      await this.#frontend(index, agents, vips[index]!, addresses.slice(0, agents))
    }
  }

  async #frontend(
    index: number,
    agents: AgentCount,
    vip: string,
    addresses: readonly string[],
  ): Promise<void> {
    const name = `front-${agents}`
    const host = this.net.frontends[index]!
    if (index > 0) host.addAddress('eth0', `${vip}/32`)
    const backends = addresses.map((address, at) => ({
      id: `agent-${at}`,
      agent: `${address}:${controlPort}`,
    }))
    await this.startFrontend(host, name, {
      listeners: [{ name: 'web', address: `${vip}:80`, protocol: 'http' }],
      routes: [{ match: {}, pool: 'web' }],
      pools: { web: { backends } },
      steering: { interface: 'eth0', pinPath: this.pinPath(name), maxFlows: MAX_FLOWS, lingerMs: LINGER_MS },
    })
    const filling = new Filling(this.pinPath(name), vip, addresses)
    const target = { address: vip, port: 80, host: 'www.example', path: '/bytes/1024' }
    this.frontends.push({ agents, name, host, target, filling })
  }

  frontendWith(agents: AgentCount): Measured {
    return this.frontends.find((frontend) => frontend.agents === agents)!
  }

  override async dispose(): Promise<void> {
    for (const { filling } of this.frontends) filling.close()
    await super.dispose()
  }
}
