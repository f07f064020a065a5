import { readRequestHead } from '../gate/index.js'
import type { Channel, Offer, Park, Taker, Unpark } from '../handoff/index.js'
import { type FlowKey, flowId } from '../kernel/flow.js'
import { restore } from '../repair/index.js'
import type { RouteTable } from '../routing/index.js'
import type { Steering } from '../steering/index.js'
import type { Logger } from '../telemetry/index.js'
import type { Backend } from './backend.js'
import { type Connection, isIpv4Flow } from './connection.js'
import type { Pool, RelayReason } from './pool.js'

/** How long a flow stays parked for an agent that then says nothing, in ms. */
const PARK_LIMIT_MS = 5000

export interface ReturnsOptions {
  readonly steering: Steering
  readonly taker: Taker
  readonly maxHeadBytes: number
  readonly logger: Logger
  routes(): RouteTable
  pool(name: string): Pool
  /** Goes on with a parked and frozen connection towards its next backend. */
  resume(connection: Connection, snapshot: Offer['snapshot']): void
  /** Relays a parked and frozen connection. */
  keep(fd: number, flow: FlowKey, listener: string, reason: RelayReason): void
  stopping(): boolean
}

interface Parked {
  readonly backend: Backend
  readonly nextHop: string
  readonly sinceMs: number
  readonly park: Park
}

/**
 * Connections that agents give back, because the next request belongs to another pool (docs/decisions/0005): PARK makes
 * their packets wait here, then the agent's OFFER brings the socket, frozen, and it is where a new arrival is after its
 * freeze.
 */
export class Returns {
  readonly #options: ReturnsOptions
  readonly #parked = new Map<string, Parked>()
  readonly #sweep: NodeJS.Timeout
  count = 0

  constructor(options: ReturnsOptions) {
    this.#options = options
    this.#sweep = setInterval(() => this.#expire(), 1000)
    this.#sweep.unref()
  }

  park(backend: Backend, channel: Channel, message: Park): void {
    const { steering } = this.#options
    const entry = steering.get(message.flow)
    const its = entry?.state === 'steer' && entry.nextHop !== null && this.#isOf(backend, entry.nextHop)
    const ok = its && !this.#options.stopping()
    if (ok && entry.nextHop !== null) {
      const { nextHop } = entry
      // Id 0 marks a flow whose owner is still at the next hop: a successor of this process steers it back.
      steering.park([{ key: message.flow, id: 0, nextHop }])
      this.#parked.set(flowId(message.flow), { backend, nextHop, sinceMs: performance.now(), park: message })
    }
    channel.send({ type: 'parked', id: message.id, ok })
  }

  unpark(message: Unpark): void {
    const parked = this.#parked.get(flowId(message.flow))
    if (parked !== undefined) this.#steerBack(parked)
  }

  /** The channel is gone: its agent still owns what it did not offer. */
  channelDown(backend: Backend): void {
    for (const parked of [...this.#parked.values()]) {
      if (parked.backend === backend) this.#steerBack(parked)
    }
  }

  offer(backend: Backend, channel: Channel, offer: Offer): void {
    const key = flowId(offer.snapshot.flow)
    const parked = this.#parked.get(key)
    const refuse = (code: string, message: string) =>
      channel.send({ type: 'refused', id: offer.id, code, message })
    if (parked === undefined || parked.backend !== backend) {
      refuse('BATON_RETURN_NOT_PARKED', 'the flow is not parked here for this agent')
      return
    }
    this.#options.taker.take(channel, offer, {
      restore: () => restore(offer.snapshot, { finish: 'frozen' }),
      adopted: (fd) => {
        this.#parked.delete(key)
        this.count++
        this.#go(fd, offer)
      },
      refused: () => this.#steerBack(parked),
    })
  }

  /** Routes the head that came with the socket, as dispatch does for a new arrival. */
  #go(fd: number, offer: Offer): void {
    const { snapshot, listener } = offer
    const { flow } = snapshot
    const { queue } = snapshot.receive
    const result = readRequestHead(queue, queue.length, this.#options.maxHeadBytes)
    const route =
      result.kind === 'head' ? this.#options.routes().match(result.head.host, result.head.path) : undefined
    if (result.kind !== 'head' || route === undefined) {
      // Not a head that the agent could have judged: the relay's own parser answers it.
      this.#options.keep(fd, flow, listener, 'return_unroutable')
      return
    }
    const pool = this.#options.pool(route.pool)
    const ipv4 = isIpv4Flow(flow)
    const choice = this.#options.stopping() ? 'stopping' : pool.chooseForHandoff(ipv4, [])
    if (typeof choice === 'string') {
      this.#options.keep(fd, flow, listener, choice)
      return
    }
    const now = performance.now()
    const connection: Connection = {
      fd,
      flow,
      ipv4,
      listener,
      head: result.head,
      route: route.index,
      pool,
      acceptedAtMs: now,
      headAtMs: now,
      tried: [],
      snapshot,
      backend: choice,
      nextHop: choice.nextHop(ipv4) ?? '',
      id: 0,
      frozenAtMs: now,
      offeredAtMs: now,
    }
    this.#options.resume(connection, snapshot)
  }

  #isOf(backend: Backend, nextHop: string): boolean {
    return backend.steerTo.ipv4 === nextHop || backend.steerTo.ipv6 === nextHop
  }

  #steerBack(parked: Parked): void {
    const { flow, id } = parked.park
    this.#parked.delete(flowId(flow))
    this.#options.steering.steer([{ key: flow, id, nextHop: parked.nextHop }])
  }

  #expire(): void {
    const now = performance.now()
    for (const parked of [...this.#parked.values()]) {
      if (now - parked.sinceMs > PARK_LIMIT_MS) this.#steerBack(parked)
    }
  }

  close(): void {
    clearInterval(this.#sweep)
    for (const parked of [...this.#parked.values()]) this.#steerBack(parked)
  }
}
