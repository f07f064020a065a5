import { fileURLToPath } from 'node:url'
import { adminPorts, controlPort, Deployment, type Host, nodeOptions } from '../../src/lab/index.js'

const origin = fileURLToPath(new URL('../../src/cli/demo/origin-main.js', import.meta.url))
const APP_PORT = 8080
/** The address at which the phases are measured one by one, beside the frontend that is under load. */
export const PHASES_VIP = '10.0.0.101'
/** 1 KiB answers. */
const ANSWER = 'bytes/1024'

/** One way to one and the same application. */
export interface Way {
  readonly name: 'direct' | 'inline' | 'http' | 'relay'
  readonly what: string
  readonly address: string
  readonly port: number
  readonly path: string
}

/**
 * client – router – frontend1 (the one measured) and frontend2 (for the phases), backend1 with the application as its
 * own agent and once more as a plain server, backend2 with an agent and, beside it, the plain server.
 */
export class Stage extends Deployment {
  constructor() {
    super({ prefix: 'btbench', frontends: 2, backends: 3, redis: false })
  }

  get frontendHost(): Host {
    return this.net.frontends[0]!
  }
  get phasesFrontend(): Host {
    return this.net.frontends[1]!
  }
  get phasesBackend(): Host {
    return this.net.backends[2]!
  }

  async startAll(): Promise<void> {
    const [one, two] = this.net.backends as [Host, Host]
    await Promise.all([this.#inline(one), this.#plain(one, 'plain-1'), this.#plain(two, 'plain-2')])
    await this.startAgent(two, 'http-1', ['http'], {
      deliver: { kind: 'http', address: `${two.ipv4}:${APP_PORT}` },
    })
    await this.startFrontend(this.frontendHost, 'front-1', {
      routes: [
        { match: { host: 'other.example' }, pool: 'http' },
        { match: { path: { prefix: '/inline/' } }, pool: 'inline' },
        { match: { path: { prefix: '/http/' } }, pool: 'http' },
        { match: { path: { prefix: '/relay/' } }, pool: 'relay' },
      ],
      pools: {
        inline: { backends: [{ id: 'inline-1', agent: `${one.ipv4}:${controlPort}` }] },
        http: { backends: [{ id: 'http-1', agent: `${two.ipv4}:${controlPort}` }] },
        relay: { handoff: 'never', backends: [{ id: 'plain-1', address: `${one.ipv4}:${APP_PORT}` }] },
      },
    })
    // wrk closes first as often as not: a minute of TIME_WAIT for each would leave the client without ports.
    this.net.client.setSysctls({ 'net.ipv4.ip_local_port_range': '2000 65000', 'net.ipv4.tcp_tw_reuse': 1 })
    this.#preparePhases()
  }

  async #inline(host: Host): Promise<void> {
    const file = this.writeSettings('inline-1.json', this.agentSettings(host, 'inline-1', ['inline']))
    const args = [...nodeOptions, origin, '--inline', file]
    await this.start('inline-1', host, process.execPath, args).waitFor({ port: controlPort })
  }

  async #plain(host: Host, name: string): Promise<void> {
    const args = [...nodeOptions, origin, '--listen', `${host.ipv4}:${APP_PORT}`, '--name', name]
    await this.start(name, host, process.execPath, args).waitFor({ port: APP_PORT })
  }

  /** Programs that end by themselves tidy up after themselves: journals, pins. */
  override async dispose(): Promise<void> {
    const hosts = [...this.net.frontends, ...this.net.backends]
    await Promise.all(hosts.flatMap((host) => [...host.processes].map((process) => process.stop())))
    await super.dispose()
  }

  /** What the agent would see to on its host, where the phases have none. */
  #preparePhases(): void {
    this.phasesFrontend.addAddress('eth0', `${PHASES_VIP}/32`)
    this.phasesBackend.setSysctls({ 'net.ipv4.conf.all.arp_ignore': 1, 'net.ipv4.conf.all.arp_announce': 2 })
    this.phasesBackend.addAddress('lo', `${PHASES_VIP}/32`)
  }

  get ways(): readonly Way[] {
    const vip = { address: this.net.vip4, port: 80 }
    const direct = { address: this.net.backends[0]!.ipv4, port: APP_PORT }
    return [
      { name: 'direct', what: 'to the application itself', ...direct, path: `/direct/${ANSWER}` },
      {
        name: 'inline',
        what: 'handed to the application as its own agent',
        ...vip,
        path: `/inline/${ANSWER}`,
      },
      { name: 'http', what: 'handed to an agent beside the application', ...vip, path: `/http/${ANSWER}` },
      { name: 'relay', what: 'relayed by the frontend', ...vip, path: `/relay/${ANSWER}` },
    ]
  }

  way(name: Way['name']): Way {
    return this.ways.find((way) => way.name === name)!
  }

  /** GET /metrics of frontend1, or of the agent that serves a pool. */
  metrics(of: 'frontend' | 'inline' | 'http'): Promise<string> {
    const hosts = { frontend: this.frontendHost, inline: this.net.backends[0]!, http: this.net.backends[1]! }
    const port = of === 'frontend' ? adminPorts.frontend : adminPorts.agent
    return hosts[of].run('curl', ['-sSf', '--max-time', '5', `http://127.0.0.1:${port}/metrics`])
  }

  /** The process that a name of {@link metrics} means. */
  pid(of: 'frontend' | 'inline'): number {
    return this.process(of === 'frontend' ? 'front-1' : 'inline-1').pid
  }
}
