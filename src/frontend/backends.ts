import type { BatonError } from '../errors/index.js'
import { type AgentLink, type Channel, type Hello, type Message, readSince } from '../handoff/index.js'
import type { Endpoint } from '../kernel/flow.js'
import { endpointText } from '../kernel/flow.js'
import type { BackendRecord } from '../registry/index.js'
import { Backend } from './backend.js'
import type { Pool } from './pool.js'

export interface BackendsOptions {
  /** Pools of the configuration; a pool that only agents name is not served. */
  readonly pools: ReadonlyMap<string, Pool>
  /** Keeps a channel to that agent up until it is closed. */
  dial(address: Endpoint, events: LinkEvents): AgentLink | undefined
  onUp(backend: Backend, channel: Channel): void
  /** @param channel the one that was up; undefined when an attempt failed */
  onDown(backend: Backend, error: BatonError, channel: Channel | undefined): void
  onMessage(backend: Backend, channel: Channel, message: Message): void
  /** Its process is another one than before, which does not know what the old one held: that ended with it. */
  onForgotten(backend: Backend, before: { ipv4: string | null; ipv6: string | null }): void
  /** The list of backends changed, or where they are. */
  onChange(): void
}

export interface LinkEvents {
  onUp(channel: Channel): void
  onDown(error: BatonError, channel: Channel | undefined): void
  onMessage(channel: Channel, message: Message): void
}

/** The registry's list made real: one {@link Backend} an id, one link an agent, sorted into the pools. */
export class Backends {
  readonly #options: BackendsOptions
  readonly #backends = new Map<string, Backend>()
  #closed = false

  constructor(options: BackendsOptions) {
    this.#options = options
  }

  all(): Iterable<Backend> {
    return this.#backends.values()
  }

  get(id: string): Backend | undefined {
    return this.#backends.get(id)
  }

  /** The backends whose host takes steered packets at that next hop. */
  at(nextHop: string): Backend[] {
    return [...this.#backends.values()].filter(
      ({ steerTo }) => steerTo.ipv4 === nextHop || steerTo.ipv6 === nextHop,
    )
  }

  /**
   * Takes a new list: what moved is dialled anew, and what is gone is let go. An agent that withdraws while it drains
   * still has connections, whose ends it tells and whose next requests it gives back: it goes with its channel.
   */
  update(records: readonly BackendRecord[]): void {
    if (this.#closed) return
    const ids = new Set(records.map((record) => record.id))
    for (const [id, backend] of this.#backends) {
      if (ids.has(id)) continue
      if (backend.channel === undefined) this.#remove(backend)
      else backend.leaving = true
    }
    for (const record of records) {
      let backend = this.#backends.get(record.id)
      if (backend === undefined) {
        backend = new Backend(record)
        this.#backends.set(record.id, backend)
      } else if (agentText(backend.record) !== agentText(record)) {
        this.#unlink(backend)
      }
      backend.record = record
      backend.leaving = false
      if (record.agent !== null && backend.link === undefined) this.#link(backend, record.agent)
    }
    for (const pool of this.#options.pools.values()) {
      pool.backends = [...this.#backends.values()].filter(
        ({ leaving, record }) => !leaving && record.pools.includes(pool.name),
      )
    }
    this.#options.onChange()
  }

  #link(backend: Backend, address: Endpoint): void {
    backend.link = this.#options.dial(address, {
      onUp: (channel) => {
        this.#greet(backend, channel.peer)
        backend.channel = channel
        this.#options.onUp(backend, channel)
      },
      onDown: (error, channel) => {
        backend.channel = undefined
        this.#options.onDown(backend, error, channel)
        if (backend.leaving) this.#remove(backend)
      },
      onMessage: (channel, message) => {
        if (message.type === 'capacity') {
          backend.capacity = message.capacity
          backend.active = message.active
          backend.accepting = message.accepting
          return
        }
        this.#options.onMessage(backend, channel, message)
      },
    })
  }

  #greet(backend: Backend, hello: Hello): void {
    const before = backend.steerTo
    const last = backend.epoch
    backend.epoch = hello.epoch
    backend.knownSince = readSince(hello)
    backend.steerTo = hello.steerTo
    backend.capacity = hello.capacity
    backend.accepting = hello.capacity > 0
    if (last === undefined || last === hello.epoch) return
    backend.active = 0
    if (!backend.knowsOf(last)) this.#options.onForgotten(backend, before)
  }

  #remove(backend: Backend): void {
    this.#unlink(backend)
    // Its place may be another's by now.
    if (this.#backends.get(backend.id) === backend) this.#backends.delete(backend.id)
  }

  #unlink(backend: Backend): void {
    backend.link?.destroy()
    backend.link = undefined
    backend.channel = undefined
  }

  /** Lets every channel go, after what is queued on it. */
  async close(): Promise<void> {
    this.#closed = true
    await Promise.all([...this.#backends.values()].map((backend) => backend.link?.close()))
  }

  destroy(): void {
    this.#closed = true
    for (const backend of this.#backends.values()) this.#unlink(backend)
  }
}

function agentText(record: BackendRecord): string {
  return record.agent === null ? '' : endpointText(record.agent)
}
