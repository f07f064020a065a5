import { BatonError } from '../errors/index.js'
import { type Endpoint, endpointText } from '../kernel/flow.js'
import { type ControlAuth, checkAuth } from './auth.js'
import { Channel } from './channel.js'
import type { Hello, Message } from './messages.js'
import { requestUpgrade, type UpgradeAttempt } from './upgrade.js'

export const MIN_BACKOFF_MS = 50
export const MAX_BACKOFF_MS = 1_000
/** A channel that lived so long makes the next attempt quick again; two processes under one id thus do not chase each other. */
const STEADY_MS = 2_000

export interface DialOptions {
  readonly address: Endpoint
  readonly auth: ControlAuth
  /** This side's HELLO, or what makes it for each attempt. */
  readonly hello: Hello | (() => Hello)
  /** The channel is open; messages go to {@link onMessage}. */
  onUp(channel: Channel): void
  /**
   * An attempt failed, or an open channel (then given) ended. Another attempt follows in {@link MIN_BACKOFF_MS} to
   * {@link MAX_BACKOFF_MS}, whatever the error. Not called after close() or destroy() of the link, save once with the
   * channel that was open.
   */
  onDown(error: BatonError, channel: Channel | undefined): void
  onMessage(channel: Channel, message: Message): void
  /** The channel is writable again after it was not. */
  onDrain?(channel: Channel): void
}

type LinkState =
  | { readonly kind: 'asking'; readonly attempt: UpgradeAttempt }
  | { readonly kind: 'opening'; readonly channel: Channel }
  | { readonly kind: 'up'; readonly channel: Channel }
  | { readonly kind: 'waiting'; readonly timer: NodeJS.Timeout }
  | { readonly kind: 'closed' }

/** A channel to one agent that comes back by itself. */
export class AgentLink {
  readonly #options: DialOptions
  #state: LinkState = { kind: 'closed' }
  #backoffMs = MIN_BACKOFF_MS
  #upAt = 0

  constructor(options: DialOptions) {
    checkAuth(options.auth)
    this.#options = options
    this.#dial()
  }

  get address(): string {
    return endpointText(this.#options.address)
  }

  /** The open channel; undefined while there is none. */
  get channel(): Channel | undefined {
    return this.#state.kind === 'up' ? this.#state.channel : undefined
  }

  get state(): LinkState['kind'] {
    return this.#state.kind
  }

  /** Sends what is queued and ends; no more attempts. */
  async close(): Promise<void> {
    const state = this.#state
    if (state.kind !== 'up') return this.destroy()
    this.#state = { kind: 'closed' }
    await state.channel.close()
  }

  destroy(): void {
    const state = this.#state
    this.#state = { kind: 'closed' }
    switch (state.kind) {
      case 'asking':
        state.attempt.cancel()
        return
      case 'opening':
      case 'up':
        state.channel.destroy()
        return
      case 'waiting':
        clearTimeout(state.timer)
        return
      case 'closed':
        return
      default:
        state satisfies never
    }
  }

  #dial(): void {
    const { address, auth, hello } = this.#options
    const attempt = requestUpgrade({
      address,
      auth,
      onSocket: (socket) => {
        const channel = new Channel(socket, {
          hello: typeof hello === 'function' ? hello() : hello,
          onOpen: (opened) => this.#up(opened),
          onFailed: (error) => this.#down(error, undefined),
        })
        this.#state = { kind: 'opening', channel }
      },
      onError: (error) => this.#down(error, undefined),
    })
    this.#state = { kind: 'asking', attempt }
  }

  #up(channel: Channel): void {
    this.#state = { kind: 'up', channel }
    this.#upAt = performance.now()
    channel.onMessage = (message) => this.#options.onMessage(channel, message)
    channel.onDrain = () => this.#options.onDrain?.(channel)
    channel.onClose = (error) => this.#down(error ?? new BatonError('BATON_CHANNEL_CLOSED'), channel)
    this.#options.onUp(channel)
  }

  #down(error: BatonError, channel: Channel | undefined): void {
    if (this.#state.kind !== 'closed') {
      if (channel !== undefined && performance.now() - this.#upAt >= STEADY_MS)
        this.#backoffMs = MIN_BACKOFF_MS
      // Jitter over the upper half: many frontends do not come back in step.
      const delayMs = this.#backoffMs * (0.5 + Math.random() / 2)
      this.#backoffMs = Math.min(this.#backoffMs * 2, MAX_BACKOFF_MS)
      this.#state = { kind: 'waiting', timer: setTimeout(() => this.#dial(), delayMs) }
    } else if (channel === undefined) return
    this.#options.onDown(error, channel)
  }
}

/** Keeps a channel to an agent. @throws BatonError BATON_CHANNEL_AUTH */
export function dialAgent(options: DialOptions): AgentLink {
  return new AgentLink(options)
}
