import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { packageRoot } from '../kernel/native.js'
import { disposeAtExit, disposed } from './cleanup.js'
import type { Host } from './host.js'
import type { LabProcess } from './process.js'
import { type StandardTopology, standardTopology, type TopologyOptions } from './topology.js'
import { bpffs, remove, runFolder } from './traces.js'

export const controlPort = 7400
export const adminPorts = { frontend: 9900, agent: 9901 } as const

const program = join(packageRoot, 'dist/src/cli/main.js')
/** What the first line of `baton`, `#!/usr/bin/env -S node …`, gives to Node. */
export const nodeOptions: readonly string[] = readFileSync(program, 'utf8')
  .split('\n', 1)
  .join()
  .split(' ')
  .slice(3)

/** The command line as a program of the lab: `process.execPath` with these arguments. */
export const batonArgs: readonly string[] = [...nodeOptions, program]

/** A configuration file's content; JSON is YAML too. */
export type Settings = Readonly<Record<string, unknown>>

/**
 * Baton on the standard topology: real frontends, agents and applications as programs on its hosts, each with a
 * configuration file in a directory of the deployment's own.
 */
export class Deployment {
  readonly net: StandardTopology
  /** Configuration, token and logs; removed at the end. */
  readonly directory: string
  readonly #processes = new Map<string, LabProcess>()
  /** What frontends leave below /sys/fs/bpf; what agents do goes with their hosts. */
  readonly #pins = new Set<string>()

  /** @throws BatonError BATON_LAB_COMMAND, BATON_LAB_NAME */
  constructor(options: TopologyOptions) {
    this.net = standardTopology({ prepareBackends: false, ...options })
    this.directory = join(runFolder, this.net.lab.name)
    mkdirSync(this.directory, { recursive: true, mode: 0o700 })
    disposeAtExit(this)
    this.write('token', `token-of-${this.net.lab.name}-${'x'.repeat(24)}\n`)
  }

  file(name: string): string {
    return join(this.directory, name)
  }

  /** Writes a file that only its owner may read; returns its path. */
  write(name: string, content: string | Buffer): string {
    const file = this.file(name)
    writeFileSync(file, content, { mode: 0o600 })
    return file
  }

  writeSettings(name: string, settings: Settings): string {
    return this.write(name, `${JSON.stringify(settings, undefined, 2)}\n`)
  }

  /** A program by the name under which it was started. @throws Error when there is none */
  process(name: string): LabProcess {
    const found = this.#processes.get(name)
    if (found === undefined) throw new Error(`the deployment has no process ${name}`)
    return found
  }

  /** Starts a program that {@link process} then finds. */
  start(name: string, host: Host, command: string, args: readonly string[]): LabProcess {
    // Where agents keep their journals: gone with the rest.
    const started = host.spawn(command, args, { env: { RUNTIME_DIRECTORY: this.directory } })
    this.#processes.set(name, started)
    return started
  }

  /** redis-server on the topology's redis host; resolves when it listens. */
  async startRedis(): Promise<LabProcess> {
    const host = this.net.redis
    if (host === undefined) throw new Error('the topology has no redis host')
    const args = ['--bind', host.ipv4, '--protected-mode', 'no', '--save', '', '--dir', this.directory]
    const redis = this.start('redis', host, 'redis-server', args)
    await redis.waitFor({ port: 6379 })
    return redis
  }

  /** The registry section of a configuration file. */
  get registry(): Settings {
    const { redis } = this.net
    return redis === undefined ? { kind: 'memory' } : { kind: 'redis', url: `redis://${redis.ipv4}:6379` }
  }

  /** What every agent.yaml here begins with. */
  agentSettings(host: Host, id: string, pools: readonly string[]): Settings {
    return {
      id,
      pools,
      control: { address: `${host.ipv4}:${controlPort}`, tokenFile: this.file('token') },
      vips: [this.net.vip4, this.net.vip6],
      registry: this.registry,
      admin: { address: `127.0.0.1:${adminPorts.agent}` },
    }
  }

  /** Starts `baton agent`; resolves when its control port listens. @param settings beside {@link agentSettings} */
  async startAgent(
    host: Host,
    id: string,
    pools: readonly string[],
    settings: Settings,
  ): Promise<LabProcess> {
    const file = this.writeSettings(`${id}.yaml`, { ...this.agentSettings(host, id, pools), ...settings })
    const agent = this.start(id, host, process.execPath, [...batonArgs, 'agent', '-c', file])
    await agent.waitFor({ port: controlPort })
    return agent
  }

  /**
   * Starts `baton frontend` with listeners on both VIPs; resolves when it is ready.
   * @param settings at least routes and pools
   */
  async startFrontend(host: Host, id: string, settings: Settings): Promise<LabProcess> {
    // A frontend that stands by binds the VIP before it has it, as hosts with keepalived do.
    host.setSysctls({ 'net.ipv4.ip_nonlocal_bind': 1, 'net.ipv6.ip_nonlocal_bind': 1 })
    const file = this.writeSettings(`${id}.yaml`, {
      id,
      listeners: [
        { name: 'web', address: `${this.net.vip4}:80`, protocol: 'http' },
        { name: 'web6', address: `[${this.net.vip6}]:80`, protocol: 'http' },
      ],
      steering: { interface: 'eth0', pinPath: this.pinPath(id) },
      registry: this.registry,
      control: { tokenFile: this.file('token') },
      admin: { address: `127.0.0.1:${adminPorts.frontend}` },
      log: { level: 'info', accessLog: this.file(`${id}.access.log`) },
      ...settings,
    })
    this.#pins.add(this.pinPath(id))
    const frontend = this.start(id, host, process.execPath, [...batonArgs, 'frontend', '-c', file])
    await frontend.waitFor({ port: adminPorts.frontend })
    await this.untilReady(host)
    return frontend
  }

  /** Where that frontend pins its steering. */
  pinPath(id: string): string {
    return join(bpffs, `${this.net.lab.name}-${id}`)
  }

  /** Until the frontend on that host answers 200 to GET /readyz. @throws BatonError BATON_LAB_COMMAND after 10 s */
  async untilReady(host: Host): Promise<void> {
    const args = [
      '-sf',
      '-o',
      '/dev/null',
      '--max-time',
      '5',
      `http://127.0.0.1:${adminPorts.frontend}/readyz`,
    ]
    const deadlineMs = performance.now() + 10_000
    // Not curl's --retry: it doubles its pauses from one second on.
    while (performance.now() < deadlineMs) {
      if ((await host.exec('curl', args)).code === 0) return
      await sleep(20)
    }
    await host.run('curl', args)
  }

  /** GET /v1/status of the frontend on that host, as it is. */
  async status(host: Host): Promise<unknown> {
    const url = `http://127.0.0.1:${adminPorts.frontend}/v1/status`
    return JSON.parse(await host.run('curl', ['-sSf', '--max-time', '5', url]))
  }

  /** Ends every program, removes every host, and what frontends leave pinned. Idempotent. */
  async dispose(): Promise<void> {
    await this.net.dispose()
    this.disposeNow()
  }

  /** The same at once, for the end of the process. */
  disposeNow(): void {
    this.net.lab.disposeNow()
    for (const pin of this.#pins) remove(pin)
    remove(this.directory)
    disposed(this)
  }
}
