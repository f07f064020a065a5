import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { packageRoot } from '../../kernel/native.js'
import { type Host, type LabProcess, type StandardTopology, standardTopology } from '../../lab/index.js'

const cli = join(packageRoot, 'dist/src/cli/main.js')
const origin = fileURLToPath(new URL('./origin-main.js', import.meta.url))

export const TOKEN = 'demo-token-for-one-machine-and-one-run'
export const CONTROL_PORT = 7400
export const APP_PORT = 8080

/** The demo's hosts with their processes; see tour.ts for what happens on them. */
export class DemoHosts {
  readonly net: StandardTopology
  readonly directory: string
  readonly #processes = new Map<string, LabProcess>()

  constructor() {
    this.net = standardTopology({ prefix: 'btdemo', frontends: 2, backends: 3, redis: true, prepareBackends: false })
    this.directory = join('/run/baton', this.net.lab.name)
    mkdirSync(this.directory, { recursive: true, mode: 0o700 })
    writeFileSync(join(this.directory, 'token'), `${TOKEN}\n`, { mode: 0o600 })
  }

  /** Starts everything, in the order of need. @param say one line of progress a part */
  async start(say: (line: string) => void): Promise<void> {
    const { net } = this
    say('redis-server on host redis')
    const redis = this.#keep(
      'redis',
      net.redis!.spawn('redis-server', ['--bind', net.redis!.ipv4, '--protected-mode', 'no', '--save', '']),
    )
    await redis.waitFor({ port: 6379 })
    say('backend1: a Node application that is its own agent (inline); backend2, backend3: an application and an agent each')
    await Promise.all([this.startInline(), this.startApp(1), this.startApp(2)])
    await Promise.all([this.startAgent(1), this.startAgent(2)])
    say('frontend1 (active), frontend2 (standing by)')
    await Promise.all(net.frontends.map((_host, index) => this.startFrontend(index)))
  }

  process(name: string): LabProcess {
    const found = this.#processes.get(name)
    if (found === undefined) throw new Error(`the demo has no process ${name}`)
    return found
  }

  #keep(name: string, started: LabProcess): LabProcess {
    this.#processes.set(name, started)
    return started
  }

  file(name: string): string {
    return join(this.directory, name)
  }

  async startInline(): Promise<void> {
    const host = this.net.backends[0]!
    const settings = { ...this.#agentSettings(host, 'media-1', ['media']), name: 'media-1' }
    const file = this.#write('media-1.json', settings)
    const app = this.#keep('media-1', host.spawn(process.execPath, [origin, '--inline', file]))
    await app.waitFor({ port: CONTROL_PORT })
  }

  async startApp(index: 1 | 2): Promise<void> {
    const host = this.net.backends[index]!
    const args = [origin, '--listen', `${host.ipv4}:${APP_PORT}`, '--name', `web-${index}`]
    const app = this.#keep(`app-${index}`, host.spawn(process.execPath, args))
    await app.waitFor({ port: APP_PORT })
  }

  async startAgent(index: 1 | 2): Promise<void> {
    const host = this.net.backends[index]!
    const file = this.#write(`web-${index}.yaml`, {
      ...this.#agentSettings(host, `web-${index}`, ['web']),
      deliver: { kind: 'http', address: `${host.ipv4}:${APP_PORT}` },
    })
    const agent = this.#keep(`web-${index}`, host.spawn(process.execPath, [cli, 'agent', '-c', file]))
    await agent.waitFor({ port: CONTROL_PORT })
  }

  /** The same file for both frontends but for their id: either can have the VIP. */
  async startFrontend(index: number): Promise<void> {
    const host = this.net.frontends[index]!
    const { backends } = this.net
    // A frontend that stands by binds the VIP before it has it, as hosts with keepalived do.
    host.setSysctls({ 'net.ipv4.ip_nonlocal_bind': 1, 'net.ipv6.ip_nonlocal_bind': 1 })
    const backend = (id: string, where: Host, relay: boolean) => ({
      id,
      agent: `${where.ipv4}:${CONTROL_PORT}`,
      ...(relay ? { address: `${where.ipv4}:${APP_PORT}` } : {}),
    })
    const id = `front-${index + 1}`
    const file = this.#write(`${id}.yaml`, {
      id,
      listeners: [
        { name: 'web', address: `${this.net.vip4}:80`, protocol: 'http' },
        { name: 'web6', address: `[${this.net.vip6}]:80`, protocol: 'http' },
      ],
      routes: [
        { match: { host: '*.video.example', path: { prefix: '/v/' } }, pool: 'media' },
        { match: { path: { prefix: '/media/' } }, pool: 'media' },
        { match: {}, pool: 'web' },
      ],
      pools: {
        media: { balance: 'roundRobin', backends: [backend('media-1', backends[0]!, false)] },
        web: {
          balance: 'leastConnections',
          backends: [backend('web-1', backends[1]!, true), backend('web-2', backends[2]!, true)],
        },
      },
      steering: { interface: 'eth0', pinPath: `/sys/fs/bpf/${this.net.lab.name}-${id}` },
      registry: { kind: 'redis', url: `redis://${this.net.redis!.ipv4}:6379` },
      control: { tokenFile: this.file('token') },
      admin: { address: '127.0.0.1:9900' },
      log: { level: 'info', accessLog: this.file(`${id}.access.log`) },
    })
    const frontend = this.#keep(id, host.spawn(process.execPath, [cli, 'frontend', '-c', file]))
    await frontend.waitFor({ port: 80 })
    await this.untilReady(host)
  }

  /** Until GET /readyz answers 200. */
  async untilReady(host: Host): Promise<void> {
    await host.run('curl', ['-sf', '-o', '/dev/null', '--retry', '40', '--retry-delay', '0', '--retry-max-time', '10', '--retry-all-errors', 'http://127.0.0.1:9900/readyz'])
  }

  /** Ends every process and removes every host, also what a frontend leaves pinned. */
  async dispose(): Promise<void> {
    await this.net.dispose()
    for (const [index] of this.net.frontends.entries()) {
      rmSync(`/sys/fs/bpf/${this.net.lab.name}-front-${index + 1}`, { recursive: true, force: true })
    }
    rmSync(this.directory, { recursive: true, force: true })
  }

  #agentSettings(host: Host, id: string, pools: readonly string[]) {
    return {
      id,
      pools,
      control: { address: `${host.ipv4}:${CONTROL_PORT}`, tokenFile: this.file('token') },
      vips: [this.net.vip4, this.net.vip6],
      registry: { kind: 'redis', url: `redis://${this.net.redis!.ipv4}:6379` },
      admin: { address: '127.0.0.1:9901' },
    }
  }

  /** JSON is YAML too. */
  #write(name: string, settings: object): string {
    const file = this.file(name)
    writeFileSync(file, `${JSON.stringify(settings, undefined, 2)}\n`, { mode: 0o600 })
    return file
  }
}
