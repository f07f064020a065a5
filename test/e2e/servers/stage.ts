import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { get, type IncomingMessage } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { Deployment, type Host } from '../../../src/lab/index.js'
import { connectFrom, type Status, statusOf, sum } from '../support.js'
import { originCommand } from './node.js'
import type { Command, Place, Server } from './server.js'

const loadProgram = fileURLToPath(new URL('load.js', import.meta.url))
const APP_PORT = 8080
const ORIGIN_PORT = 8081

/** A file that every server here serves. */
export interface Served {
  readonly path: string
  readonly sha256: string
}

export interface Load {
  /** At the most, where it is ended before. */
  readonly requests: number
  readonly atOnce: number
  readonly ipv6?: boolean
}

export interface LoadResult {
  readonly right: number
  /** By what went wrong. */
  readonly wrong: Readonly<Record<string, number>>
}

export interface Counts {
  readonly adopted: number
  /** Why, by the agents' logs. */
  readonly refused: readonly string[]
  readonly relayed: number
}

export interface Ask {
  /** Of curl. */
  readonly args?: readonly string[]
  readonly ipv6?: boolean
}

/**
 * A host for each server, with an agent beside it that adopts; the frontend chooses by the host name, NAME.example.
 * Nothing stands in for adoption: what cannot be adopted is relayed by the frontend, and counted.
 */
export class ServerStage extends Deployment {
  readonly #hosts: ReadonlyMap<string, Host>
  readonly #servers: readonly Server[]
  readonly #folder: string
  readonly #root: string

  constructor(prefix: string, servers: readonly Server[]) {
    super({ prefix, frontends: 1, backends: servers.length })
    this.#servers = servers
    this.#hosts = new Map(servers.map(({ name }, index) => [name, this.net.backends[index] as Host]))
    // Servers drop their rights: the folder is for everybody.
    this.#folder = mkdtempSync(join(tmpdir(), prefix))
    chmodSync(this.#folder, 0o755)
    this.#root = join(this.#folder, 'root')
    mkdirSync(this.#root)
  }

  /** Writes a file of random bytes for all to serve. */
  serve(name: string, bytes: number): Served {
    const body = randomBytes(bytes)
    writeFileSync(join(this.#root, name), body)
    return { path: `/${name}`, sha256: createHash('sha256').update(body).digest('hex') }
  }

  host(name: string): Host {
    const host = this.#hosts.get(name)
    if (host === undefined) throw new Error(`the stage has no server ${name}`)
    return host
  }

  place(name: string): Place {
    const folder = join(this.#folder, name)
    mkdirSync(folder, { recursive: true })
    chmodSync(folder, 0o777)
    return { folder, root: this.#root, port: APP_PORT, originPort: ORIGIN_PORT }
  }

  async startAll(): Promise<void> {
    // Servers close first: a minute of TIME_WAIT for each connection.
    this.net.client.setSysctls({ 'net.ipv4.ip_local_port_range': '2000 65000' })
    await Promise.all(this.#servers.map((server) => this.#startServer(server)))
    await Promise.all(this.#servers.map(({ name }) => this.startAdopting(name)))
    await this.startTheFrontend()
    await this.until('every agent is up', ({ backends }) => backends.every(({ state }) => state === 'up'))
  }

  async #startServer(server: Server): Promise<void> {
    const place = this.place(server.name)
    if (server.hasOrigin)
      await this.#startProgram(
        `origin-${server.name}`,
        server,
        originCommand(place.root, ORIGIN_PORT),
        ORIGIN_PORT,
      )
    await this.#startProgram(`app-${server.name}`, server, await server.prepare(place), APP_PORT)
  }

  async #startProgram(name: string, { name: of }: Server, command: Command, port: number): Promise<void> {
    const [program, ...args] = command
    await this.start(name, this.host(of), program, args).waitFor({ port, timeoutMs: 60_000 })
  }

  /** The agent beside that server. */
  async startAdopting(name: string): Promise<void> {
    const deliver = { kind: 'adopt', address: `127.0.0.1:${APP_PORT}`, session: 'connection' }
    await this.startAgent(this.host(name), name, [name], { deliver })
  }

  async startTheFrontend(): Promise<void> {
    const names = this.#servers.map(({ name }) => name)
    const pool = (name: string) => {
      const { ipv4 } = this.host(name)
      return { backends: [{ id: name, agent: `${ipv4}:7400`, address: `${ipv4}:${APP_PORT}` }] }
    }
    await this.startFrontend(this.net.active, 'front-1', {
      routes: names.map((name) => ({ match: { host: `${name}.example` }, pool: name })),
      pools: Object.fromEntries(names.map((name) => [name, pool(name)])),
    })
  }

  /** Until the frontend's status is so. @throws Error with the last one after 30 s */
  async until(what: string, holds: (status: Status) => boolean): Promise<Status> {
    let status = await statusOf(this)
    for (let round = 0; round < 300; round++) {
      if (holds(status)) return status
      await sleep(100)
      status = await statusOf(this)
    }
    throw new Error(`within 30 s: ${what}; ${JSON.stringify(status)}`)
  }

  /** What a frontend's counts grew by; ADOPTED comes after the client's answer, and is waited for. */
  async counted(act: () => Promise<void>): Promise<Counts> {
    const settled = () => this.until('no handoff is in flight', ({ handoffs }) => handoffs.inFlight === 0)
    const start = await settled()
    await act()
    const end = await settled()
    return {
      adopted: end.handoffs.adopted - start.handoffs.adopted,
      refused: end.handoffs.refused === start.handoffs.refused ? [] : this.#refusals(),
      relayed: sum(end.relays) - sum(start.relays),
    }
  }

  #refusals(): string[] {
    const lines = this.#servers.flatMap(({ name }) => this.process(name).output.split('\n'))
    return lines.filter((line) => line.includes('offer refused'))
  }

  /** GETs of one file, each on a connection of its own; every body is checked. */
  async load(name: string, file: Served, options: Load): Promise<LoadResult> {
    const output = await this.net.client.run(process.execPath, this.#loadArgs(name, file, options), {
      timeoutMs: 120_000,
    })
    return resultOf(output)
  }

  /** The same, under way when this resolves, until what it resolves with is called. */
  async startLoad(name: string, file: Served, options: Load): Promise<() => Promise<LoadResult>> {
    const running = this.net.client.spawn(process.execPath, this.#loadArgs(name, file, options))
    await running.waitFor({ output: /^asking$/m })
    return async () => {
      await running.stop(60_000)
      return resultOf(running.output)
    }
  }

  #loadArgs(name: string, { path, sha256 }: Served, { requests, atOnce, ipv6 = false }: Load): string[] {
    const url = `http://${this.#vip(ipv6)}${path}`
    return [loadProgram, url, `${name}.example`, String(requests), String(atOnce), sha256]
  }

  /** Standard output of curl, which must succeed. */
  curl(name: string, paths: readonly string[], { args = [], ipv6 = false }: Ask = {}): Promise<string> {
    return this.net.client.run('curl', this.#words(name, paths, args, ipv6), { timeoutMs: 65_000 })
  }

  /** The sha256 of what curl downloads. */
  async download(name: string, { path }: Served, { args = [], ipv6 = false }: Ask = {}): Promise<string> {
    const words = this.#words(name, [path], args, ipv6)
    const script = `set -o pipefail; curl "$@" | sha256sum`
    const output = await this.net.client.run('bash', ['-c', script, 'curl', ...words], { timeoutMs: 65_000 })
    return output.slice(0, 64)
  }

  /**
   * Begins a download, and reads no further than its head. The file is larger than what the kernels at both ends take,
   * so it stays in the middle. Calling what it resolves with reads on to the end and gives the sha256.
   */
  async hold(name: string, { path }: Served): Promise<() => Promise<string>> {
    const request = get({
      path,
      headers: { host: `${name}.example` },
      createConnection: () => connectFrom(this.net.client, this.net.vip4),
    })
    const [response] = (await once(request, 'response')) as [IncomingMessage]
    return async () => {
      const digest = createHash('sha256')
      for await (const piece of response) digest.update(piece as Buffer)
      return digest.digest('hex')
    }
  }

  #words(name: string, paths: readonly string[], args: readonly string[], ipv6: boolean): string[] {
    const always = ['-sS', '--fail', '--max-time', '60', '--connect-to', `::${this.#vip(ipv6)}:80`]
    return [...always, ...args, ...paths.map((path) => `http://${name}.example${path}`)]
  }

  #vip(ipv6: boolean): string {
    return ipv6 ? `[${this.net.vip6}]` : this.net.vip4
  }

  override async dispose(): Promise<void> {
    await super.dispose()
    rmSync(this.#folder, { recursive: true, force: true })
  }
}

const resultOf = (output: string) => JSON.parse(output.trimEnd().split('\n').at(-1) ?? '') as LoadResult
