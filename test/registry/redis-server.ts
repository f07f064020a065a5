import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}

/** Asks again until the answer is yes. @throws Error after the limit, naming what was waited for */
export async function until(
  what: string,
  ask: () => boolean | Promise<boolean>,
  limitMs = 10_000,
): Promise<number> {
  const since = performance.now()
  while (!(await ask())) {
    if (performance.now() - since > limitMs) throw new Error(`waited ${limitMs} ms for ${what}`)
    await sleep(10)
  }
  return performance.now() - since
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => socket.write('PING\r\n'))
    socket.setTimeout(500, () => socket.destroy())
    socket.on('data', (data) => {
      resolve(data.toString().startsWith('+PONG') || data.toString().startsWith('-NOAUTH'))
      socket.destroy()
    })
    socket.on('error', () => resolve(false))
    socket.on('close', () => resolve(false))
  })
}

/** A real redis-server on a free loopback port, without persistence. */
export class RedisServer {
  readonly port: number
  readonly #args: readonly string[]
  readonly directory = mkdtempSync(join(tmpdir(), 'baton-redis-'))
  #child: ChildProcess | undefined

  private constructor(port: number, args: readonly string[]) {
    this.port = port
    this.#args = args
  }

  /** @param args further arguments; a first one that is a file is the configuration */
  static async start(args: readonly string[] = []): Promise<RedisServer> {
    const server = new RedisServer(await freePort(), args)
    await server.run()
    return server
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`
  }

  async run(): Promise<void> {
    const settings = ['--bind', '127.0.0.1', '--port', String(this.port), '--save', '', '--appendonly', 'no']
    const args = [...settings, '--dir', this.directory, ...this.#args]
    this.#child = spawn('redis-server', args, { stdio: 'ignore' })
    await until('redis-server to answer', () => answers(this.port))
  }

  signal(signal: NodeJS.Signals): void {
    this.#child?.kill(signal)
  }

  /** As a crash: at once, and everything is forgotten. */
  async kill(): Promise<void> {
    const child = this.#child
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const gone = once(child, 'exit')
    child.kill('SIGKILL')
    await gone
  }

  async dispose(): Promise<void> {
    await this.kill()
    rmSync(this.directory, { recursive: true, force: true })
  }
}
