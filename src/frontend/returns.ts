import { BatonError, isBatonError } from '../errors/index.js'
import { readRequestHead } from '../gate/index.js'
import {
  type Ask,
  type Channel,
  type Offer,
  type Park,
  type Taken,
  Taker,
  type Unpark,
} from '../handoff/index.js'
import { flowId, isIpv4Flow } from '../kernel/flow.js'
import { restore } from '../repair/index.js'
import type { RouteTable } from '../routing/index.js'
import type { Steering } from '../steering/index.js'
import type { FrontendMetrics, Logger } from '../telemetry/index.js'
import type { Backend } from './backend.js'
import { type Connection, makeConnection } from './connection.js'
import type { Pool, RelayReason } from './pool.js'

/** How long a flow stays parked for an agent that then says nothing, in ms. */
const PARK_LIMIT_MS = 5000
const SWEEP_MS = 1000
/** Returned connections in hand at once. */
export const RETURN_CAPACITY = 4096

export interface ReturnsOptions {
  readonly steering: Steering
  /** This process's epoch, as in its HELLO. */
  readonly epoch: number
  readonly metrics: FrontendMetrics
  readonly maxHeadBytes: number
  readonly logger: Logger
  routes(): RouteTable
  pool(name: string): Pool
  /** Goes on with a parked and frozen connection towards its next backend. */
  resume(connection: Connection, snapshot: Offer['snapshot']): void
  /** Relays a parked and frozen connection. */
  keep(fd: number, offer: Offer, reason: RelayReason): void
  stopping(): boolean
}

interface Parked {
  readonly backend: Backend
  readonly nextHop: string
  /** Of the handoff by which its agent got it. */
  readonly ownerId: number
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
  readonly #taker: Taker
  /** While anything is parked. */
  #sweep: NodeJS.Timeout | undefined

  constructor(options: ReturnsOptions) {
    this.#options = options
    this.#taker = new Taker({
      epoch: options.epoch,
      capacity: RETURN_CAPACITY,
      onOffer: (taken) => this.#take(taken),
    })
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
      this.#parked.set(flowId(message.flow), {
        backend,
        nextHop,
        ownerId: entry.id,
        sinceMs: performance.now(),
        park: message,
      })
      this.#sweep ??= setInterval(() => this.#expire(), SWEEP_MS).unref()
    }
    channel.send({ type: 'parked', id: message.id, ok })
  }

  unpark(message: Unpark): void {
    const parked = this.#parked.get(flowId(message.flow))
    if (parked !== undefined) this.#steerBack(parked)
  }

  /** The channel is gone: its agent still owns what it did not offer. */
  channelDown(backend: Backend, channel: Channel): void {
    this.#taker.channelDown(channel)
    for (const parked of [...this.#parked.values()]) {
      if (parked.backend === backend) this.#steerBack(parked)
    }
  }

  /** OFFER and ASK of an agent. */
  handle(channel: Channel, message: Offer | Ask): void {
    this.#taker.handle(channel, message)
  }

  channelUp(channel: Channel): void {
    this.#taker.channelUp(channel)
  }

  #take(taken: Taken): void {
    const { offer, giver } = taken
    const { snapshot } = offer
    const key = flowId(snapshot.flow)
    const parked = this.#parked.get(key)
    if (parked === undefined || parked.backend.id !== giver.id) {
      this.#taker.refuse(taken, new BatonError('BATON_RETURN_NOT_PARKED'))
      return
    }
    if (!this.#taker.begin(taken)) {
      this.#steerBack(parked)
      return
    }
    let fd: number
    try {
      fd = restore(snapshot, { finish: 'frozen' })
    } catch (error) {
      this.#options.logger.warn({ err: error }, 'a returned connection cannot be restored')
      this.#steerBack(parked)
      this.#taker.refuse(
        taken,
        isBatonError(error) ? error : new BatonError('BATON_RETURN_FAILED', { cause: error }),
      )
      return
    }
    this.#taker.commit(taken)
    this.#taker.adopted(taken)
    this.#parked.delete(key)
    this.#options.metrics.returned.inc('taken')
    this.#go(fd, offer)
  }

  /** Routes the head that came with the socket, as dispatch does for a new arrival. */
  #go(fd: number, offer: Offer): void {
    const { snapshot, listener, claimed } = offer
    const { flow } = snapshot
    const { queue } = snapshot.receive
    const result = readRequestHead(queue, queue.length, this.#options.maxHeadBytes)
    const route =
      result.kind === 'head' ? this.#options.routes().match(result.head.host, result.head.path) : undefined
    if (result.kind !== 'head' || route === undefined) {
      // Not a head that the agent could have judged: the relay's own parser answers it.
      this.#options.keep(fd, offer, 'return_unroutable')
      return
    }
    const pool = this.#options.pool(route.pool)
    const ipv4 = isIpv4Flow(flow)
    const choice = this.#options.stopping() ? 'stopping' : pool.chooseForHandoff(ipv4, [])
    if (typeof choice === 'string') {
      this.#options.keep(fd, offer, choice)
      return
    }
    const now = performance.now()
    const origin = { fd, flow, listener, claimed, head: result.head, acceptedAtMs: now, headAtMs: now }
    const connection = makeConnection(origin, { route: route.index, pool, backend: choice, ipv4 })
    this.#options.resume(connection, snapshot)
  }

  #isOf(backend: Backend, nextHop: string): boolean {
    return backend.steerTo.ipv4 === nextHop || backend.steerTo.ipv6 === nextHop
  }

  #steerBack(parked: Parked): void {
    const { flow } = parked.park
    this.#parked.delete(flowId(flow))
    this.#options.steering.steer([{ key: flow, id: parked.ownerId, nextHop: parked.nextHop }])
  }

  #expire(): void {
    const now = performance.now()
    for (const parked of [...this.#parked.values()]) {
      if (now - parked.sinceMs > PARK_LIMIT_MS) this.#steerBack(parked)
    }
    if (this.#parked.size > 0) return
    clearInterval(this.#sweep)
    this.#sweep = undefined
  }

  close(): void {
    clearInterval(this.#sweep)
    for (const parked of [...this.#parked.values()]) this.#steerBack(parked)
  }
}
