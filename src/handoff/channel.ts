import type { Duplex } from 'node:stream'
import { BatonError, isBatonError } from '../errors/index.js'
import { atEndOfTurn } from '../kernel/turn.js'
import { FrameDecoder } from './frame-decoder.js'
import { FrameWriter } from './frame-writer.js'
import { MIB } from './limits.js'
import { Liveness } from './liveness.js'
import type { Hello, Message } from './messages.js'
import { rounds, type Watched } from './rounds.js'
import { openWire, type Wire } from './wire.js'

/** Bytes waiting for the peer above which {@link Channel.writable} is false. */
export const HIGH_WATER_BYTES = MIB
/** Bytes waiting above which the peer counts as gone. */
export const MAX_BACKLOG_BYTES = 64 * MIB
const CLOSE_GRACE_MS = 2_000

/** `opening`: HELLO sent, none received. `closing`: no more is sent; what comes is still told. */
export type ChannelState = 'opening' | 'open' | 'closing' | 'closed'

export interface ChannelOptions {
  readonly hello: Hello
  /** The peer's HELLO is there: set the handlers now, the messages that followed it come right after. */
  onOpen(channel: Channel): void
  /** Ended before it was open. */
  onFailed(error: BatonError): void
  /** Ended after it was open; for whoever keeps the channel, beside its user's {@link Channel.onClose}. */
  onEnded?(channel: Channel): void
}

/**
 * A control channel over an upgraded socket: frames both ways, alive or known to be dead within 2 s.
 *
 * Frames sent in one turn of the event loop leave in one write, at its end.
 */
export class Channel implements Watched {
  onMessage: (message: Message) => void = () => this.destroy()
  /** Once, after the last message; undefined when this side closed it. */
  onClose: (error: BatonError | undefined) => void = () => {}
  /** The backlog is gone: writable again. */
  onDrain: () => void = () => {}

  readonly #wire: Wire
  readonly #options: ChannelOptions
  readonly #decoder = new FrameDecoder()
  readonly #writer = new FrameWriter()
  readonly #liveness: Liveness
  readonly #closed: Promise<void>
  #resolveClosed: () => void = () => {}
  #state: ChannelState = 'opening'
  #peer: Hello | undefined
  #version = 0
  #capacity = 0
  #accepting = true
  #active = 0
  #flushing = false
  /** Within {@link #onData} or {@link look}, which flush at their end. */
  #gathering = false
  #soon: NodeJS.Immediate | undefined
  #sent = 0
  #handedOver = 0
  #confirmed = 0
  /** Number of the last message whose receipt its sender wants to know of. */
  #wanted = 0
  /** The last PING, and how many messages went before it. */
  #pinged = { nonce: -1, sent: 0 }
  readonly #waiting = new Set<{ readonly sequence: number; readonly resolve: () => void }>()

  constructor(socket: Duplex, options: ChannelOptions) {
    this.#options = options
    this.#liveness = new Liveness(performance.now(), options.hello.role === 'frontend')
    this.#closed = new Promise((resolve) => {
      this.#resolveClosed = resolve
    })
    this.#wire = openWire(socket, {
      onData: (chunk) => this.#onData(chunk),
      onDrain: () => this.onDrain(),
      onError: (cause) =>
        this.destroy(new BatonError('BATON_CHANNEL_CLOSED', { detail: cause.message, cause })),
      onEnd: () => this.#onEnd(),
      onClose: () => this.destroy(new BatonError('BATON_CHANNEL_CLOSED')),
    })
    rounds.add(this)
    this.#queue(options.hello)
  }

  get state(): ChannelState {
    return this.#state
  }

  /** The peer's HELLO. @throws BatonError BATON_CHANNEL_CLOSED before it came */
  get peer(): Hello {
    if (this.#peer === undefined)
      throw new BatonError('BATON_CHANNEL_CLOSED', { detail: 'No HELLO has come.' })
    return this.#peer
  }

  /** The protocol version that both sides speak. */
  get version(): number {
    return this.#version
  }

  /** Offers in flight that the peer takes at once, as it last said; 0 while it accepts none. */
  get capacity(): number {
    return this.#accepting ? this.#capacity : 0
  }

  /** Connections that the peer serves, as it last said. */
  get active(): number {
    return this.#active
  }

  /** The last round trip in ms; undefined before the first. */
  get rttMs(): number | undefined {
    return this.#liveness.rttMs
  }

  /** Whether more may be sent now: open, and less than {@link HIGH_WATER_BYTES} waiting. */
  get writable(): boolean {
    return this.#state === 'open' && this.backlogBytes < HIGH_WATER_BYTES
  }

  /** Bytes that wait to be taken by the kernel. */
  get backlogBytes(): number {
    return this.#writer.bytes + this.#wire.waitingBytes
  }

  /** Messages given to {@link send} so far: the number of the last one. */
  get sent(): number {
    return this.#sent
  }

  /** Number of the last message handed to the socket; those after it never left this process. */
  get handedOver(): number {
    return this.#handedOver
  }

  /** Number of the last message that the peer is known to have handled: it answered a PING sent after it. */
  get confirmed(): number {
    return this.#confirmed
  }

  /**
   * Queues a message for the end of this turn. False when the channel is not open: it then never leaves.
   * @throws BatonError BATON_FRAME_VALUE when a value does not fit the wire; the channel goes on
   */
  send(message: Message): boolean {
    if (this.#state !== 'open') return false
    this.#queue(message)
    return true
  }

  /**
   * Resolves when the peer has handled everything that was sent so far, so that what it sent before that has been told
   * here; or when the channel has ended.
   */
  handled(): Promise<void> {
    if (this.#state !== 'open' || this.#confirmed >= this.#sent) return Promise.resolve()
    return new Promise((resolve) => {
      this.#waiting.add({ sequence: this.#sent, resolve })
      this.#ping(performance.now())
    })
  }

  /**
   * As {@link send}, for what nobody waits for: it leaves with the next message that is sent, or behind the other events
   * of this turn. Ends of connections come one by one, each in a callback of its own, and need not be written one by one.
   * Its receipt will be known: {@link confirmed} comes to it within some seconds.
   * @throws BatonError BATON_FRAME_VALUE
   */
  sendSoon(message: Message): boolean {
    if (this.#state !== 'open') return false
    this.#writer.push(message)
    this.#wanted = ++this.#sent
    this.#soon ??= setImmediate(this.#flush)
    return true
  }

  /** Sends what is queued, ends the stream, waits for the peer to do the same (2 s at most). */
  async close(): Promise<void> {
    if (this.#state === 'opening' || this.#state === 'open') {
      this.#flush()
      this.#state = 'closing'
      this.#wire.end()
      setTimeout(() => this.destroy(), CLOSE_GRACE_MS).unref()
    }
    await this.#closed
  }

  /** Cuts the channel now; nothing more is told but {@link onClose}. */
  destroy(error?: BatonError): void {
    if (this.#state === 'closed') return
    this.#wire.destroy()
    this.#settle(error)
  }

  #settle(error: BatonError | undefined): void {
    const before = this.#state
    this.#state = 'closed'
    rounds.delete(this)
    this.#resolveClosed()
    this.#confirm(this.#confirmed, Number.POSITIVE_INFINITY)
    if (this.#peer !== undefined) {
      this.#options.onEnded?.(this)
      this.onClose(error)
    } else if (before === 'opening') this.#options.onFailed(error ?? new BatonError('BATON_CHANNEL_CLOSED'))
  }

  #queue(message: Message): void {
    this.#writer.push(message)
    this.#sent++
    if (this.#flushing) return
    this.#flushing = true
    if (!this.#gathering) atEndOfTurn(this.#flush)
  }

  readonly #flush = (): void => {
    if (this.#soon !== undefined) {
      clearImmediate(this.#soon)
      this.#soon = undefined
    }
    this.#flushing = false
    if (this.#writer.bytes === 0) return
    if (this.#state === 'closed' || this.#state === 'closing') return
    this.#handedOver = this.#sent
    this.#writer.drain(this.#write)
    const waiting = this.#wire.waitingBytes
    if (waiting > MAX_BACKLOG_BYTES) {
      this.destroy(new BatonError('BATON_CHANNEL_BACKLOG', { detail: `${waiting} bytes wait.` }))
    }
  }

  readonly #write = (bytes: Buffer, start: number, end: number): boolean =>
    this.#wire.write(bytes, start, end)

  #onData(chunk: Buffer): void {
    this.#liveness.heard(performance.now())
    this.#gathering = true
    try {
      this.#decoder.read(chunk, this.#onFrame)
    } catch (error) {
      if (!isBatonError(error, 'BATON_FRAME_MALFORMED') && !isBatonError(error, 'BATON_FRAME_SIZE'))
        throw error
      this.destroy(error)
    } finally {
      this.#gathering = false
      // Answers leave before what they answer goes its way: an agent's ADOPTED before the application sees the requests,
      // so that the frontend steers before the clients' ACKs come, which it would have to park and play back.
      if (this.#flushing) this.#flush()
    }
  }

  readonly #onFrame = (message: Message): boolean => {
    if (this.#state === 'closed') return false
    if (this.#peer === undefined) this.#onHello(message)
    else this.#onOpenFrame(message)
    return this.state !== 'closed'
  }

  #onHello(message: Message): void {
    if (message.type !== 'hello') {
      this.destroy(
        new BatonError('BATON_FRAME_MALFORMED', { detail: `The first frame is ${message.type}, not hello.` }),
      )
      return
    }
    const { hello } = this.#options
    this.#version = Math.min(hello.maxVersion, message.maxVersion)
    if (this.#version < Math.max(hello.minVersion, message.minVersion)) {
      const detail = `Here ${hello.minVersion}–${hello.maxVersion}, there ${message.minVersion}–${message.maxVersion}.`
      this.destroy(new BatonError('BATON_CHANNEL_VERSION', { detail }))
      return
    }
    this.#peer = message
    this.#capacity = message.capacity
    if (this.#state !== 'opening') return
    this.#state = 'open'
    this.#options.onOpen(this)
  }

  #onOpenFrame(message: Message): void {
    switch (message.type) {
      case 'hello':
        this.destroy(new BatonError('BATON_FRAME_MALFORMED', { detail: 'A second hello.' }))
        return
      case 'ping':
        this.#pong(message.nonce)
        return
      case 'pong':
        this.#liveness.pong(message.nonce, performance.now())
        if (message.nonce === this.#pinged.nonce) this.#confirm(this.#pinged.sent)
        return
      case 'capacity':
        this.#capacity = message.capacity
        this.#accepting = message.accepting
        this.#active = message.active
        this.onMessage(message)
        return
      default:
        this.onMessage(message)
    }
  }

  /** The peer says no more. What this side has queued may still be welcome there. */
  #onEnd(): void {
    if (this.#state === 'closed') return
    const wire = this.#wire
    this.#flush()
    wire.end(() => wire.destroy())
    setTimeout(() => wire.destroy(), CLOSE_GRACE_MS).unref()
    this.#settle(
      this.#state === 'closing'
        ? undefined
        : new BatonError('BATON_CHANNEL_CLOSED', { detail: 'The peer ended it.' }),
    )
  }

  /** @see Watched */
  get dueAt(): number {
    return this.#liveness.dueAt
  }

  /** @see Watched */
  look(now: number): void {
    const verdict = this.#liveness.look(now, this.#isUnconfirmed)
    if (verdict === 'dead') this.destroy(new BatonError('BATON_CHANNEL_TIMEOUT'))
    if (verdict !== 'ask') return
    this.#gathering = true
    this.#ping(now)
    this.#gathering = false
    this.#flush()
  }

  /** @see Watched */
  excuse(lateMs: number, now: number): void {
    this.#liveness.excuse(lateMs, now)
  }

  get #isUnconfirmed(): boolean {
    return this.#wanted > this.#confirmed
  }

  /** @param upTo whoever waits for less waits no longer */
  #confirm(sequence: number, upTo = sequence): void {
    this.#confirmed = sequence
    for (const waiter of this.#waiting) {
      if (waiter.sequence > upTo) continue
      this.#waiting.delete(waiter)
      waiter.resolve()
    }
  }

  #ping(now: number): void {
    if (this.#state !== 'open') return
    const nonce = this.#liveness.ask(now)
    this.#pinged = { nonce, sent: this.#sent }
    this.#queue({ type: 'ping', nonce })
  }

  #pong(nonce: number): void {
    if (this.#state !== 'open') return
    this.#queue({ type: 'pong', nonce })
    const now = performance.now()
    if (this.#liveness.asksBeside(now, this.#isUnconfirmed)) this.#ping(now)
  }
}
