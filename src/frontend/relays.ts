import type { FrontendConfig } from '../config/index.js'
import type { FlowKey } from '../kernel/flow.js'
import { Relay, requestPlace } from '../relay/index.js'
import type { FrontendMetrics, Logger } from '../telemetry/index.js'
import type { Connection } from './connection.js'
import { isWhole } from './head.js'
import type { RelayReason } from './pool.js'
import { type RelayedRequest, Relaying, type RelayRoute } from './relaying.js'
import { type Spliced, Splicing } from './splicing.js'

export interface RelaysOptions {
  readonly config: FrontendConfig
  readonly metrics: FrontendMetrics
  readonly logger: Logger
  findRoute(host: string | null, path: string): RelayRoute | undefined
  release(flow: FlowKey): void
  /** A request, or a connection that was relayed whole, is over. */
  onEnd(done: RelayedRequest): void
  /** What a client of a whole connection is told when no backend answers. */
  unanswered(spliced: Spliced): Buffer | null
}

/** Whose requests are relayed. */
export type Relayed = Pick<Connection, 'listener' | 'flow' | 'claimed'>

/** What cannot be handed over: HTTP goes on by requests, anything else by bytes; each is counted with its reason. */
export class Relays {
  readonly #options: RelaysOptions
  readonly #requests: Relaying
  readonly #bytes: Splicing

  constructor(options: RelaysOptions) {
    this.#options = options
    const { config, logger, findRoute, release, onEnd, unanswered } = options
    const { timeouts, limits } = config
    const { connectTimeoutMs, responseTimeoutMs, idleTimeoutMs } = timeouts
    this.#requests = new Relaying({
      relay: new Relay({ connectTimeoutMs, responseTimeoutMs, bodyTimeoutMs: idleTimeoutMs }),
      findRoute,
      readPlace: requestPlace,
      onRequest: onEnd,
      headersTimeoutMs: limits.headTimeoutMs,
      keepAliveTimeoutMs: idleTimeoutMs,
      maxHeadBytes: limits.headBytes,
    })
    this.#bytes = new Splicing({ connectTimeoutMs, idleTimeoutMs, logger, release, onEnd, unanswered })
  }

  /** Connections that are relayed now. */
  get size(): number {
    return this.#requests.size + this.#bytes.size
  }

  /** Takes a live connection that speaks HTTP. */
  relay(fd: number, { listener, flow, claimed }: Relayed, reason: RelayReason): void {
    const { metrics, release } = this.#options
    metrics.relayed.inc(reason)
    this.#requests.take(fd, { listener, reason, claimed, release: () => release(flow) })
  }

  /** Takes a live connection that speaks anything else. */
  splice(fd: number, spliced: Spliced): void {
    this.#options.metrics.relayed.inc(spliced.reason)
    this.#bytes.take(fd, spliced)
  }

  /** Takes a connection that was not handed over in the end; it is live here again. */
  keep(connection: Connection, reason: RelayReason): void {
    const { fd, head } = connection
    if (isWhole(head)) this.splice(fd, { ...connection, head, reason })
    else this.relay(fd, connection, reason)
  }

  /** Lets what is under way finish; resolves when no connection is left and each end was told. */
  async close(): Promise<void> {
    await Promise.all([this.#requests.close(), this.#bytes.close()])
  }

  /** Cuts every relayed connection. */
  destroy(): void {
    this.#requests.destroy()
    this.#bytes.destroy()
  }
}
