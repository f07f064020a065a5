import { mkdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { controlPort, Deployment, type Host, type LabProcess, nodeOptions } from '../../src/lab/index.js'
import { descendants } from '../host-cpu/processes.js'
import { raiseDescriptors } from './descriptors.js'
import { ORIGIN_PORT, originConfig, writeObject } from './origin.js'
import {
  type BatonName,
  isBaton,
  isProxy,
  kindOf,
  type Peer,
  type PeerName,
  type ProxyName,
  type Target,
} from './peer.js'
import { proxyCommand } from './proxies.js'
import { titleOf, type Versions, versions } from './versions.js'

const inlineOrigin = fileURLToPath(new URL('../../src/cli/demo/origin-main.js', import.meta.url))
const BATON = 'baton'

export interface FieldOptions {
  /** Of the lab's namespaces: `bt` and lower-case letters. */
  readonly prefix: string
  readonly peers: readonly PeerName[]
  /** For each way of delivery. Default 1. */
  readonly backends?: number
  /** Sizes of the objects that objectPath can name, in bytes. Default 1 KiB. */
  readonly objects?: readonly number[]
  /** How many connections at once the proxies are configured for, if they may have as many files. Default 6,000. */
  readonly connections?: number
  /** Of each backend's nginx. Default 1. */
  readonly workers?: number
  /** See LabOptions. Default true. */
  readonly inOrder?: boolean
  /** Sections of Baton's frontend.yaml that differ from the defaults. */
  readonly frontend?: Readonly<Record<string, unknown>>
}

/**
 * Baton and its peers side by side in one lab, each on a host of its own, in front of the same backends:
 *
 *     client ── router ──┬── frontend1   Baton's frontend, at the VIP
 *                        ├── frontend2 … each proxy, at its host's address
 *                        ├── backend1 …  nginx with sendfile; beside it Baton's agents
 *                        └── backendN …  the backends of a second baton-KIND, where there is one
 *
 * The application of baton-inline is a Node server, by definition; everybody else's is nginx. All run at once, idle but
 * for the one whose turn it is. A proxy is a namespace's only program, Baton's agents share theirs with the application.
 */
export class Field extends Deployment {
  readonly peers: readonly Peer[]
  readonly versions: Versions = versions()
  readonly #options: Required<FieldOptions> & { readonly descriptors: number }
  readonly #kinds: readonly BatonName[]
  readonly #agents = new Map<PeerName, readonly LabProcess[]>()

  /** @throws BatonError BATON_LAB_COMMAND, BATON_LAB_NAME @throws Error when a peer is not installed */
  constructor(options: FieldOptions) {
    const defaults = {
      backends: 1,
      objects: [1024],
      connections: 6000,
      workers: 1,
      inOrder: true,
      frontend: {},
    }
    const filled = { ...defaults, ...options }
    const descriptors = raiseDescriptors()
    // Two for each connection, some for pipes to splice through, and a few.
    const connections = Math.min(filled.connections, Math.floor((descriptors - 512) / 3))
    const kinds = options.peers.filter(isBaton)
    const proxies = options.peers.filter(isProxy)
    super({
      prefix: options.prefix,
      frontends: 1 + proxies.length,
      backends: filled.backends * Math.max(1, kinds.length),
      inOrder: filled.inOrder,
    })
    this.#options = { ...filled, connections, descriptors }
    this.#kinds = kinds
    this.peers = options.peers.map((name) => {
      if (isBaton(name)) return this.#baton(name)
      return isProxy(name) ? this.#proxy(name, 1 + proxies.indexOf(name)) : this.#direct()
    })
  }

  /** @throws Error when the field has no such peer */
  peer(name: PeerName): Peer {
    const found = this.peers.find((peer) => peer.name === name)
    if (found === undefined) throw new Error(`the field has no ${name}`)
    return found
  }

  /** Starts the applications, the agents and every peer. */
  async startAll(): Promise<void> {
    await this.startBackends()
    // Baton of several kinds is one frontend.
    const one = new Map(this.peers.map((peer) => [peer.host, peer]))
    for (const peer of one.values()) await peer.start()
  }

  /** Starts the applications and the agents: where peers are started one by one. */
  async startBackends(): Promise<void> {
    const files = this.file('www/bytes')
    mkdirSync(files, { recursive: true, mode: 0o700 })
    for (const bytes of this.#options.objects) await writeObject(`${files}/${bytes}`, bytes)
    // Short connections by the thousand: a minute of TIME_WAIT for each would leave the client without ports.
    this.net.client.setSysctls({ 'net.ipv4.ip_local_port_range': '1024 65535', 'net.ipv4.tcp_tw_reuse': 1 })
    for (const host of [this.net.client, ...this.net.frontends, ...this.net.backends]) {
      host.setSysctls({ 'net.core.somaxconn': 65_535, 'net.ipv4.tcp_max_syn_backlog': 65_535 })
    }
    await Promise.all(this.#backendsOf(this.#kinds[0]).map((host) => this.#startOrigin(host)))
    for (const name of this.#kinds) this.#agents.set(name, await this.#startAgents(name))
  }

  /** Programs that end by themselves tidy up after themselves: journals, pins. */
  override async dispose(): Promise<void> {
    const hosts = [...this.net.frontends, ...this.net.backends]
    await Promise.all(hosts.flatMap((host) => [...host.processes].map((process) => process.stop())))
    await super.dispose()
  }

  /** Those of the first kind are everybody's who is not Baton. */
  #backendsOf(name: BatonName | undefined): readonly Host[] {
    const place = name === undefined ? 0 : Math.max(0, this.#kinds.indexOf(name))
    const from = place * this.#options.backends
    return this.net.backends.slice(from, from + this.#options.backends)
  }

  #folder(name: string): string {
    const folder = this.file(name)
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    return folder
  }

  async #startOrigin(host: Host): Promise<void> {
    const name = `origin-${host.name}`
    const own = this.#folder(name)
    const { workers, descriptors } = this.#options
    const settings = { directory: own, files: this.file('www'), workers, descriptors }
    const config = this.write(`${name}.conf`, originConfig(settings))
    const origin = this.start(name, host, 'nginx', ['-p', own, '-e', 'stderr', '-c', config])
    await origin.waitFor({ port: ORIGIN_PORT })
  }

  #startAgents(name: BatonName): Promise<LabProcess[]> {
    const kind = kindOf(name)
    const agents = this.#backendsOf(name).map(async (host) => {
      const id = `${kind}-${host.name}`
      if (kind === 'inline') {
        const file = this.writeSettings(`${id}.json`, this.agentSettings(host, id, [kind]))
        const agent = this.start(id, host, process.execPath, [...nodeOptions, inlineOrigin, '--inline', file])
        await agent.waitFor({ port: controlPort })
        return agent
      }
      if (!host.isListening(ORIGIN_PORT)) await this.#startOrigin(host)
      const session = kind === 'adopt' ? { session: 'connection' } : {}
      return this.startAgent(host, id, [kind], {
        deliver: { kind, address: `127.0.0.1:${ORIGIN_PORT}`, ...session },
        log: { level: 'warn' },
      })
    })
    return Promise.all(agents)
  }

  async #startFrontend(): Promise<void> {
    const pools = this.#kinds.map((name) => {
      const backends = this.#backendsOf(name).map((host) => ({
        id: `${kindOf(name)}-${host.name}`,
        agent: `${host.ipv4}:${controlPort}`,
      }))
      return [kindOf(name), { balance: 'roundRobin', backends }]
    })
    await this.startFrontend(this.net.frontends[0]!, BATON, {
      routes: this.#kinds.map((name) => ({ match: { host: `${kindOf(name)}.example` }, pool: kindOf(name) })),
      pools: Object.fromEntries(pools),
      // No peer writes an access log either.
      log: { level: 'warn', accessLog: 'off' },
      ...this.#options.frontend,
    })
  }

  async #startProxy(name: ProxyName, host: Host): Promise<void> {
    const { command, args } = proxyCommand(name, {
      listen: `${host.ipv4}:80`,
      servers: this.#backendsOf(undefined).map(({ ipv4 }) => `${ipv4}:${ORIGIN_PORT}`),
      connections: this.#options.connections,
      directory: this.#folder(name),
      write: (file, content) => this.write(file, content),
    })
    await this.start(name, host, command, args).waitFor({ port: 80 })
  }

  #baton(name: BatonName): Peer {
    return this.#between(name, BATON, this.net.frontends[0]!, () => this.#startFrontend(), {
      backends: this.#backendsOf(name),
      targets: [{ address: this.net.vip4, port: 80, host: `${kindOf(name)}.example` }],
      agentPids: () => (this.#agents.get(name) ?? []).map(({ pid }) => pid),
    })
  }

  #proxy(name: ProxyName, place: number): Peer {
    const host = this.net.frontends[place]!
    return this.#between(name, name, host, () => this.#startProxy(name, host), {
      backends: this.#backendsOf(undefined),
      targets: [{ address: host.ipv4, port: 80, host: 'www.example' }],
      agentPids: () => [],
    })
  }

  /** What is the same for everybody that stands between client and backends as a process of that name on that host. */
  #between(
    name: PeerName,
    process: string,
    host: Host,
    start: () => Promise<void>,
    rest: Pick<Peer, 'backends' | 'targets' | 'agentPids'>,
  ): Peer {
    const pids = (): number[] => [...host.processes].flatMap(({ pid }) => [pid, ...descendants(pid)])
    const title = titleOf(name, this.versions)
    const stop = async () => {
      await this.process(process).stop(5_000)
    }
    const kill = async () => {
      for (const pid of pids()) globalThis.process.kill(pid, 'SIGKILL')
      await this.process(process).exited
    }
    return { name, title, host, pids, start, stop, kill, ...rest }
  }

  #direct(): Peer {
    const nothing = () => Promise.resolve()
    const backends = this.#backendsOf(undefined)
    const target = ({ ipv4 }: Host): Target => ({ address: ipv4, port: ORIGIN_PORT, host: 'www.example' })
    return {
      name: 'direct',
      title: titleOf('direct', this.versions),
      targets: backends.map(target),
      host: undefined,
      backends,
      pids: () => [],
      agentPids: () => [],
      start: nothing,
      stop: nothing,
      kill: nothing,
    }
  }
}
