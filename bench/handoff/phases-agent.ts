import type { Server } from 'node:http'
import type { Socket } from 'node:net'
import { deliverToServer } from '../../src/backend-agent/deliver-server.js'
import type { Delivery } from '../../src/backend-agent/delivery.js'
import { Served } from '../../src/backend-agent/served.js'
import { SessionSocket } from '../../src/backend-agent/session-socket.js'
import { Sessions } from '../../src/backend-agent/sessions.js'
import { createOrigin } from '../../src/cli/demo/origin.js'
import {
  type Channel,
  encodeMessage,
  FileJournal,
  FrameDecoder,
  type Taken,
  Taker,
} from '../../src/handoff/index.js'
import { inNetns } from '../../src/kernel/host.js'
import { Relay } from '../../src/relay/index.js'
import { mayLeaveUnread, restore } from '../../src/repair/index.js'
import type { Stopwatch } from './stopwatch.js'

const HEAD_BYTES = 16 * 1024
const EPOCH = 1

/** The agent's half, in this process: its own parts in its own order, on the sockets of the backend's namespace. */
export class PhasesAgent {
  readonly #watch: Stopwatch
  readonly #netns: string
  readonly #taker: Taker
  readonly #journal: FileJournal
  readonly #sessions: Sessions
  readonly #relay = new Relay({})
  readonly #server: Server
  readonly #delivery: Delivery
  readonly #requestedFrom = new WeakMap<Socket, number>()
  /** Suffix of the names that depend on the batch. */
  batch = 1
  ended = 0
  failure: unknown

  constructor(watch: Stopwatch, options: { readonly netns: string; readonly journalPath: string }) {
    this.#watch = watch
    this.#netns = options.netns
    this.#journal = new FileJournal({ path: options.journalPath, epoch: EPOCH })
    this.#taker = new Taker({ epoch: EPOCH, journal: this.#journal, onOffer: (taken) => this.#take(taken) })
    this.#server = createOrigin('phases')
    this.#server.prependListener('request', ({ socket }) => {
      const startedAtMs = this.#requestedFrom.get(socket)
      // In a batch the others' turns would be in it.
      if (startedAtMs !== undefined && this.batch === 1) watch.lap('deliver to request/1', startedAtMs)
    })
    this.#sessions = new Sessions({
      limits: { headBytes: HEAD_BYTES, headTimeoutMs: 10_000 },
      relay: this.#relay,
      place: () => ({ kind: 'own' }),
      // As where the frontend has routes to other pools.
      isShared: () => true,
      move: () => undefined,
      draining: () => false,
      onAnswered: () => undefined,
      onMisplaced: () => undefined,
    })
    this.#delivery = deliverToServer(this.#server, {
      kind: 'inline',
      sessions: this.#sessions,
      maxHeadBytes: HEAD_BYTES,
    })
  }

  attach(channel: Channel): void {
    this.#taker.channelUp(channel)
    channel.onMessage = (message) => {
      try {
        if (message.type === 'offer') this.#decode(encodeMessage(message))
        this.#taker.handle(channel, message)
      } catch (error) {
        this.failure ??= error
      }
    }
  }

  /** The same bytes once more, to have the time of decoding alone. */
  #decode(frame: Buffer): void {
    const decoder = new FrameDecoder()
    const startedAtMs = performance.now()
    decoder.push(frame)
    this.#watch.lap(`decode/${this.batch}`, startedAtMs)
  }

  #take(taken: Taken): void {
    const ready = this.#delivery.prepare(taken.offer)
    if (ready instanceof Promise || !this.#taker.begin(taken)) throw new Error('the agent cannot take it')
    const startedAtMs = performance.now()
    this.#taker.commit(taken)
    this.#watch.lap(`journal/${this.batch}`, startedAtMs)
    const { snapshot } = taken.offer
    const given = mayLeaveUnread(snapshot)
    const fd = inNetns(this.#netns, () => {
      const insideAtMs = performance.now()
      const restored = restore(snapshot, { unread: given ? 'caller' : 'kernel' })
      this.#watch.lap(`restore/${this.batch}`, insideAtMs)
      return restored
    })
    this.#taker.adopted(taken)
    const deliveredAtMs = performance.now()
    const { allowHalfOpen } = this.#delivery
    const socket = new SessionSocket(fd, {
      allowHalfOpen,
      given: given ? snapshot.receive.queue : undefined,
    })
    const served = new Served({ frontendId: 'phases', offer: taken.offer }, socket, () => {
      this.ended++
      this.#taker.ended(taken)
    })
    this.#requestedFrom.set(socket, deliveredAtMs)
    ready.deliver(served)
    this.#watch.lap(`deliver/${this.batch}`, deliveredAtMs)
  }

  async close(): Promise<void> {
    await this.#delivery.close()
    this.#sessions.destroy()
    this.#journal.close()
    await this.#relay.destroy(new Error('the measurement is over'))
  }
}
