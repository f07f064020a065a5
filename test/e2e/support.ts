import { connect, type Socket } from 'node:net'
import { fileURLToPath } from 'node:url'
import { inNetnsUntilNextTick } from '../../src/kernel/host.js'
import type { Deployment, Host, Settings } from '../../src/lab/index.js'

export const originProgram = fileURLToPath(new URL('../../src/cli/demo/origin-main.js', import.meta.url))
export const appPort = 8080

/**
 * A TCP connection from a host of the lab, in this process. Node connects in the next tick, so the thread stays in the
 * host's namespace until then.
 */
export function connectFrom(
  host: Host,
  address: string,
  port = 80,
  options: { allowHalfOpen?: boolean } = {},
): Socket {
  const socket = inNetnsUntilNextTick(host.path, () => connect({ host: address, port, ...options }))
  socket.setNoDelay(true)
  return socket
}

/** Collects what a socket receives. */
export class Received {
  readonly #chunks: Buffer[] = []
  /** 'end' (FIN), 'reset' or undefined while it is open. */
  over: 'end' | 'reset' | 'closed' | undefined
  readonly closed: Promise<void>

  constructor(socket: Socket) {
    socket.on('data', (chunk: Buffer) => this.#chunks.push(chunk))
    socket.on('end', () => {
      this.over ??= 'end'
    })
    socket.on('error', (error: NodeJS.ErrnoException) => {
      this.over = error.code === 'ECONNRESET' ? 'reset' : 'closed'
    })
    this.closed = new Promise((resolve) => socket.once('close', () => resolve()))
  }

  get bytes(): Buffer {
    return Buffer.concat(this.#chunks)
  }

  get text(): string {
    return this.bytes.toString('latin1')
  }

  /** Until the text matches; rejects after `timeoutMs` with what came. */
  async until(pattern: RegExp, timeoutMs = 15_000): Promise<RegExpExecArray> {
    const deadlineMs = performance.now() + timeoutMs
    for (;;) {
      const match = new RegExp(pattern).exec(this.text)
      if (match !== null) return match
      if (performance.now() > deadlineMs) {
        throw new Error(
          `no ${pattern} within ${timeoutMs} ms, ${this.over ?? 'open'}: ${this.text.slice(0, 500)}`,
        )
      }
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
  }
}

/** curl from the client through the VIP; the sha256 of what came. @throws Error when curl does not end well */
export async function download(
  baton: Deployment,
  path: string,
  args: readonly string[] = [],
): Promise<string> {
  const words = ['curl', '-sS', '--fail', '--max-time', '40', ...args, `http://${baton.net.vip4}${path}`]
  const script = `set -o pipefail; ${words.join(' ')} | sha256sum`
  return (await baton.net.client.run('bash', ['-c', script], { timeoutMs: 45_000 })).slice(0, 64)
}

export interface Status {
  readonly backends: readonly { id: string; state: string; active: number }[]
  readonly registry: { connected: boolean; queuedWrites: number }
  readonly handoffs: { adopted: number; refused: number; lost: number; inFlight: number; returned: number }
  readonly failovers: Readonly<
    Record<'steered' | 'unknown' | 'gone' | 'unreachable' | 'unanswered' | 'waiting', number>
  >
  readonly relays: Readonly<Record<string, number>>
  readonly rejected: Readonly<Record<string, number>>
  readonly flows: Readonly<Record<string, number>>
}

export async function statusOf(deployment: Deployment): Promise<Status> {
  return (await deployment.status(deployment.net.active)) as Status
}

export const sum = (counts: Readonly<Record<string, number>>): number =>
  Object.values(counts).reduce((left, right) => left + right, 0)

/** Starts the demo's application on a backend of the deployment. */
export async function startApp(deployment: Deployment, host: Host, name: string): Promise<void> {
  const args = [originProgram, '--listen', `${host.ipv4}:${appPort}`, '--name', name]
  await deployment.start(`app-${name}`, host, process.execPath, args).waitFor({ port: appPort })
}

/** The settings of an agent that serves that application. */
export function deliverTo(host: Host): Settings {
  return { deliver: { kind: 'http', address: `${host.ipv4}:${appPort}` } }
}
