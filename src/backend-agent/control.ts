import type { AddressInfo } from 'node:net'
import { release } from 'node:os'
import fastify from 'fastify'
import { listenError } from '../errors/index.js'
import {
  attachChannelServer,
  type Capacity,
  type Channel,
  type ChannelServerOptions,
  type ControlAuth,
  controlServerTls,
  type Hello,
  MAX_VERSION,
  type Message,
  MIN_VERSION,
} from '../handoff/index.js'
import type { Endpoint } from '../kernel/flow.js'
import type { Logger } from '../telemetry/index.js'
import type { Segment } from './steer-to.js'

/** Changes of load are told at most so often, in ms. */
const TELL_EVERY_MS = 200

export interface ControlOptions {
  readonly id: string
  readonly epoch: number
  readonly pools: readonly string[]
  readonly features: readonly string[]
  readonly steerTo: Segment['steerTo']
  readonly address: Endpoint
  readonly auth: ControlAuth
  readonly logger: Logger
  /** What this agent takes and serves now. */
  load(): Omit<Capacity, 'type'>
  onUp(channel: Channel): void
  onMessage(channel: Channel, message: Message): void
  onDrain(channel: Channel): void
  onDown(channel: Channel): void
}

/** The control listener: frontends dial it, and each has one channel. */
export class Control {
  readonly #options: ControlOptions
  readonly #channels = new Set<Channel>()
  #close: (() => Promise<unknown>) | undefined
  /** Runs while there may be something to tell. */
  #timer: NodeJS.Timeout | undefined
  #told = ''

  constructor(options: ControlOptions) {
    this.#options = options
  }

  /** @returns where it listens, with the port that the kernel chose for 0. @throws BatonError BATON_LISTEN */
  async start(): Promise<Endpoint> {
    const { auth, address } = this.#options
    const tls = controlServerTls(auth)
    const listen = { host: address.address, port: address.port }
    let bound: AddressInfo
    // Two calls, because the two servers have different types.
    if (tls === null) {
      const server = fastify({ logger: false })
      attachChannelServer(server, this.#serverOptions())
      this.#close = () => server.close()
      await server.listen(listen).catch(notListening)
      bound = server.server.address() as AddressInfo
    } else {
      const server = fastify({ logger: false, https: tls })
      attachChannelServer(server, this.#serverOptions())
      this.#close = () => server.close()
      await server.listen(listen).catch(notListening)
      bound = server.server.address() as AddressInfo
    }
    return { address: address.address, port: bound.port }
  }

  /** The load may be another: frontends will be told soon, if it is. */
  changed(): void {
    this.#timer ??= setTimeout(() => this.tell(), TELL_EVERY_MS).unref()
  }

  /** Tells every frontend how much is taken, if that has changed. */
  tell(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    const load = this.#options.load()
    const text = JSON.stringify(load)
    if (text === this.#told) return
    this.#told = text
    for (const channel of this.#channels) channel.send({ type: 'capacity', ...load })
  }

  /** Resolves when every frontend has handled what it was told: no offer is under way that came before. */
  async handled(): Promise<void> {
    await Promise.all([...this.#channels].map((channel) => channel.handled()))
  }

  /** Ends the channels once what is queued has left. */
  async close(): Promise<void> {
    clearTimeout(this.#timer)
    await this.#close?.()
  }

  #serverOptions(): ChannelServerOptions {
    const { auth, logger } = this.#options
    return {
      auth,
      hello: () => this.#hello(),
      onChannel: (channel) => this.#up(channel),
      onRefused: (error, from) => logger.warn({ err: error, from }, 'a control connection was turned away'),
    }
  }

  #hello(): Hello {
    const { id, epoch, pools, features, steerTo, load } = this.#options
    const { capacity, accepting } = load()
    return {
      type: 'hello',
      minVersion: MIN_VERSION,
      maxVersion: MAX_VERSION,
      role: 'agent',
      id,
      epoch,
      steerTo,
      pools,
      capacity: accepting ? capacity : 0,
      kernel: release().slice(0, 64),
      features,
    }
  }

  #up(channel: Channel): void {
    const { peer } = channel
    const { logger, load, onUp, onMessage, onDrain, onDown } = this.#options
    if (peer.role !== 'frontend') {
      logger.warn({ peer: peer.id, role: peer.role }, 'a peer that is no frontend was turned away')
      channel.destroy()
      return
    }
    this.#channels.add(channel)
    logger.info({ frontend: peer.id, kernel: peer.kernel }, 'control channel up')
    channel.onMessage = (message) => onMessage(channel, message)
    channel.onDrain = () => onDrain(channel)
    channel.onClose = (error) => {
      this.#channels.delete(channel)
      if (error === undefined) logger.info({ frontend: peer.id }, 'control channel closed')
      else logger.warn({ err: error, frontend: peer.id }, 'control channel lost')
      onDown(channel)
    }
    channel.send({ type: 'capacity', ...load() })
    onUp(channel)
  }
}

function notListening(cause: unknown): never {
  throw listenError('control.address', cause)
}
