import { Socket } from 'node:net'
import type { FlowKey } from '../kernel/flow.js'
import { writeProxyHeader } from '../proxy-protocol/index.js'
import { connectTo, socketOptions, tunnel } from '../relay/index.js'
import type { Logger } from '../telemetry/index.js'
import { answerOrReset, resetAndClose } from './answer.js'
import type { Backend } from './backend.js'
import { headNotes, type WholeHead } from './head.js'
import { partiesOf } from './parties.js'
import type { Pool, RelayReason } from './pool.js'
import type { RelayedRequest } from './relaying.js'

/** A live connection that goes to its backend whole, its bytes still unread, and where it belongs. */
export interface Spliced {
  readonly flow: FlowKey
  readonly listener: string
  readonly claimed: FlowKey | null
  readonly head: WholeHead
  readonly route: number
  readonly pool: Pool
  readonly reason: RelayReason
  /** performance.now() */
  readonly acceptedAtMs: number
}

export interface SplicingOptions {
  readonly connectTimeoutMs: number
  /** 0 is no limit. */
  readonly idleTimeoutMs: number
  readonly logger: Logger
  release(flow: FlowKey): void
  /** A connection is over. */
  onEnd(done: RelayedRequest): void
  /** What the client is told when no backend answers; null: RST. */
  unanswered(spliced: Spliced): Buffer | null
}

/** What became of one connection. */
interface End {
  readonly backend: Backend | undefined
  readonly bytesIn: number
  readonly bytesOut: number
  readonly error: string | null
}

/**
 * The classical way for whole connections that cannot be handed over: a second connection to a backend's address, and
 * the bytes of both carried across, unread.
 */
export class Splicing {
  readonly #options: SplicingOptions
  readonly #running = new Set<Promise<void>>()
  /** What cuts each. */
  readonly #cuts = new Set<() => void>()

  constructor(options: SplicingOptions) {
    this.#options = options
  }

  /** Connections that are carried now. */
  get size(): number {
    return this.#running.size
  }

  /** Takes a connection over for good. */
  take(fd: number, spliced: Spliced): void {
    const run = this.#run(fd, spliced)
    this.#running.add(run)
    void run.finally(() => this.#running.delete(run))
  }

  async #run(fd: number, spliced: Spliced): Promise<void> {
    const end = await this.#carry(fd, spliced)
    this.#options.release(spliced.flow)
    this.#options.onEnd({
      listener: spliced.listener,
      ...partiesOf(spliced.flow, spliced.claimed),
      ...headNotes(spliced.head),
      route: spliced.route,
      pool: spliced.pool.name,
      backend: end.backend?.id ?? null,
      reason: spliced.reason,
      status: 0,
      bytesIn: end.bytesIn,
      bytesOut: end.bytesOut,
      startedAtMs: spliced.acceptedAtMs,
      error: end.error,
    })
  }

  async #carry(fd: number, spliced: Spliced): Promise<End> {
    const dialling = new AbortController()
    const giveUp = () => dialling.abort()
    this.#cuts.add(giveUp)
    const upstream = await this.#dial(spliced.pool, dialling.signal)
    this.#cuts.delete(giveUp)
    if (dialling.signal.aborted) {
      upstream?.socket.destroy()
      resetAndClose(fd)
      return { backend: undefined, bytesIn: 0, bytesOut: 0, error: 'drain' }
    }
    if (upstream === undefined) {
      const words = this.#options.unanswered(spliced)
      await new Promise<void>((resolve) => answerOrReset(fd, words, resolve))
      return { backend: undefined, bytesIn: 0, bytesOut: words?.length ?? 0, error: 'BATON_NO_BACKEND' }
    }
    const { proxyProtocol } = spliced.pool
    if (proxyProtocol !== 'off') {
      upstream.socket.write(writeProxyHeader(proxyProtocol, spliced.claimed ?? spliced.flow))
    }
    upstream.backend.relayed++
    try {
      return await this.#tunnel(fd, upstream)
    } finally {
      upstream.backend.relayed--
    }
  }

  async #tunnel(fd: number, { socket, backend }: { socket: Socket; backend: Backend }): Promise<End> {
    const client = new Socket(socketOptions(fd, true))
    client.setNoDelay(true)
    let why: 'timeout' | 'drain' | undefined
    const cut = () => {
      why ??= 'drain'
      client.resetAndDestroy()
    }
    this.#cuts.add(cut)
    const { idleTimeoutMs } = this.#options
    if (idleTimeoutMs > 0) {
      // Bytes of either direction pass through this socket.
      client.setTimeout(idleTimeoutMs, () => {
        why = 'timeout'
        client.destroy()
      })
    }
    const { bytesUp, bytesDown, broken } = await tunnel(client, socket)
    this.#cuts.delete(cut)
    const error = why ?? (broken === null ? null : broken.side === 'client' ? 'client' : 'error')
    return { backend, bytesIn: bytesUp, bytesOut: bytesDown, error }
  }

  /** The first backend that answers; undefined when none does. */
  async #dial(pool: Pool, signal: AbortSignal): Promise<{ socket: Socket; backend: Backend } | undefined> {
    for (const backend of pool.chooseForRelay()) {
      if (backend.relayAddress === null || signal.aborted) continue
      try {
        return {
          socket: await connectTo(backend.relayAddress, this.#options.connectTimeoutMs, signal),
          backend,
        }
      } catch (error) {
        this.#options.logger.warn(
          { err: error, backend: backend.id },
          'a backend to relay to does not answer',
        )
      }
    }
    return undefined
  }

  /** Resolves when every connection has ended by itself. */
  async close(): Promise<void> {
    await Promise.all(this.#running)
  }

  /** Cuts every connection with RST: a FIN could pass for an end. */
  destroy(): void {
    for (const cut of [...this.#cuts]) cut()
  }
}
