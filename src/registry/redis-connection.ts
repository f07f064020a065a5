import type { RedisTarget } from '../config/index.js'
import { createRedisClient, type RedisClient } from './redis-client.js'
import type { RegistryLogger } from './registry.js'

const HEARTBEAT_MS = 1000
/** Heartbeats without an answer after which the connection is made anew: the peer's host may be gone without a word. */
const DEAD_AFTER_BEATS = 5
/** The same complaint is logged once in that time. */
const QUIET_MS = 60_000

/** closed is the end; the others follow each other as Redis comes and goes. */
type State = 'connecting' | 'connected' | 'away' | 'closed'

/**
 * The connection for commands: says whether Redis answers, by events and by a heartbeat, and logs one line for every
 * change. Nothing it does throws for what Redis does.
 */
export class RedisConnection {
  readonly client: RedisClient
  readonly #logger: RegistryLogger
  readonly #where: string
  #state: State = 'connecting'
  #missedBeats = 0
  #beating = false
  #timer: NodeJS.Timeout | undefined
  #lastError = 'no connection'
  readonly #complaints = new Map<string, number>()
  readonly #onUp: (() => void)[] = []

  constructor(target: RedisTarget, logger: RegistryLogger) {
    this.#logger = logger
    this.#where = target.nodes.map(({ host, port }) => `${host}:${port}`).join(',')
    this.client = createRedisClient(target)
    this.client.on('error', (error: Error) => {
      this.#lastError = error.message || error.name
    })
    this.client.on('close', () => this.#down(this.#lastError))
    this.client.on('ready', () => void this.#beat())
  }

  get connected(): boolean {
    return this.#state === 'connected'
  }

  /** Calls back whenever Redis begins to answer (again). */
  onUp(listener: () => void): void {
    this.#onUp.push(listener)
  }

  open(): void {
    // How it goes on is told by events; retries are the client's.
    this.client.connect().catch((error: Error) => this.#down(error.message))
    this.#timer = setInterval(() => void this.#beat(), HEARTBEAT_MS)
  }

  close(): void {
    this.#state = 'closed'
    clearInterval(this.#timer)
    this.client.disconnect()
  }

  /** Logs what went wrong, but the same thing only once a minute. */
  complain(what: string, error: unknown): void {
    const now = performance.now()
    if (now - (this.#complaints.get(what) ?? Number.NEGATIVE_INFINITY) < QUIET_MS) return
    this.#complaints.set(what, now)
    this.#logger.warn({ err: error, redis: this.#where }, `registry: ${what}`)
  }

  async #beat(): Promise<void> {
    if (this.#beating || this.client.status !== 'ready') return
    this.#beating = true
    try {
      await this.client.ping()
      this.#missedBeats = 0
      this.#up()
    } catch (error) {
      this.#missedBeats++
      this.#down(error instanceof Error ? error.message : String(error))
      if (this.#missedBeats >= DEAD_AFTER_BEATS && this.#state !== 'closed') {
        this.#missedBeats = 0
        this.client.disconnect(true)
      }
    } finally {
      this.#beating = false
    }
  }

  #up(): void {
    if (this.#state === 'connected' || this.#state === 'closed') return
    this.#state = 'connected'
    this.#logger.info({ redis: this.#where }, 'registry: Redis answers')
    for (const listener of this.#onUp) listener()
  }

  #down(why: string): void {
    if (this.#state === 'away' || this.#state === 'closed') return
    this.#state = 'away'
    this.#logger.warn({ redis: this.#where, why }, 'registry: Redis is away; everything known goes on')
  }
}
