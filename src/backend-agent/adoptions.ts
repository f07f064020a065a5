import { BatonError, isBatonError } from '../errors/index.js'
import type { Taken, Taker } from '../handoff/index.js'
import { type FlowKey, flowId } from '../kernel/flow.js'
import { closeFd } from '../kernel/host.js'
import { claimPeer } from '../relay/index.js'
import { mayLeaveUnread, restore } from '../repair/index.js'
import type { AgentMetrics, Logger } from '../telemetry/index.js'
import type { AdoptTable } from './adopt-table.js'
import type { AdoptDelivery } from './deliver-adopt.js'
import type { Delivery, Ready } from './delivery.js'
import { type Adoption, Served } from './served.js'
import { SessionSocket } from './session-socket.js'
import { endTimeWait } from './time-wait.js'

export interface AdoptionsOptions {
  /** For what is not adopted; undefined where everything is. */
  readonly delivery: Delivery | undefined
  /** `adopt`: the kernel gives the application its connections. */
  readonly adopting: () => AdoptDelivery | undefined
  /** The books of what was adopted, also by a process before this one. */
  readonly table: () => AdoptTable | undefined
  readonly pools: ReadonlySet<string>
  /** 0 is no limit. */
  readonly maxConnections: number
  readonly metrics: AgentMetrics
  readonly logger: Logger
  readonly taker: () => Taker
  /** A connection is ours, and goes to the application next. */
  onAdopted(adoption: Adoption): void
  /** A connection is over; it was not moved. */
  onEnd(served: Served): void
}

/** Takes connections over: OFFER → restore → ADOPTED → the application, or REFUSED while nothing has happened yet. */
export class Adoptions {
  readonly #options: AdoptionsOptions
  readonly #served = new Map<string, { readonly served: Served; readonly taken: Taken }>()
  readonly #restoreSeconds
  readonly #deliverSeconds
  #accepting = true
  /** Offers that are neither refused nor served yet. */
  #preparing = 0
  #onEmpty: (() => void) | undefined

  constructor(options: AdoptionsOptions) {
    this.#options = options
    this.#restoreSeconds = options.metrics.phases.child('restore')
    this.#deliverSeconds = options.metrics.phases.child('deliver')
  }

  /** Connections that are served now, those included that the application has by itself. */
  get active(): number {
    return this.#served.size + (this.#options.table()?.active ?? 0)
  }

  /** Connections that pass through this process. */
  get served(): number {
    return this.#served.size
  }

  get accepting(): boolean {
    return this.#accepting
  }

  /** Refuses everything from now on. */
  stop(): void {
    this.#accepting = false
  }

  connections(): Served[] {
    return [...this.#served.values()].map(({ served }) => served)
  }

  find(flow: FlowKey): Served | undefined {
    return this.#served.get(flowId(flow))?.served
  }

  /** Resolves when no connection is left, and none is being prepared. */
  empty(): Promise<void> {
    if (this.#served.size === 0 && this.#preparing === 0) return Promise.resolve()
    return new Promise((resolve) => {
      this.#onEmpty = resolve
    })
  }

  take(taken: Taken): void {
    const refusal = this.#judge(taken)
    if (refusal !== undefined) {
      this.#refuse(taken, refusal)
      return
    }
    const adopting = this.#options.adopting()
    const unfit = adopting?.unfit(taken.offer)
    if (adopting !== undefined && unfit === undefined) {
      this.#adopt(taken, adopting)
      return
    }
    const { delivery, metrics, logger } = this.#options
    if (unfit !== undefined && delivery !== undefined) {
      metrics.fallback.inc(unfit.code)
      logger.info({ err: unfit, handoff: taken.offer.id, kind: delivery.kind }, 'the fallback serves')
    }
    if (delivery === undefined) {
      this.#refuse(taken, unfit ?? new BatonError('BATON_AGENT_STATE'))
      return
    }
    try {
      const ready = delivery.prepare(taken.offer)
      if (ready instanceof Promise) {
        this.#preparing++
        ready
          .then(
            (way) => this.#restore(taken, delivery, way),
            (error: unknown) => this.#refuse(taken, error),
          )
          .finally(() => {
            this.#preparing--
            this.#tellEmpty()
          })
      } else this.#restore(taken, delivery, ready)
    } catch (error) {
      this.#refuse(taken, error)
    }
  }

  /** A connection lives elsewhere from now on. */
  moved(served: Served): void {
    this.#forget(served)
  }

  #judge({ offer }: Taken): BatonError | undefined {
    const { pools, maxConnections } = this.#options
    if (!this.#accepting) return new BatonError('BATON_AGENT_DRAINING')
    if (!pools.has(offer.pool)) return new BatonError('BATON_AGENT_POOL', { detail: offer.pool })
    if (maxConnections > 0 && this.active >= maxConnections) return new BatonError('BATON_AGENT_FULL')
    return undefined
  }

  #refuse(taken: Taken, cause: unknown): void {
    const { metrics, logger } = this.#options
    const error = isBatonError(cause) ? cause : new BatonError('BATON_AGENT_DELIVERY', { cause })
    metrics.refused.inc(error.code)
    logger.info({ err: error, handoff: taken.offer.id, frontend: taken.giver.id }, 'offer refused')
    this.#options.taker().refuse(taken, error)
  }

  #adopt(taken: Taken, adopting: AdoptDelivery): void {
    const { metrics } = this.#options
    const taker = this.#options.taker()
    if (!taker.begin(taken)) {
      metrics.refused.inc('BATON_HANDOFF_EXPIRED')
      return
    }
    const startedAtMs = performance.now()
    const adoption = { frontendId: taken.giver.id, offer: taken.offer }
    try {
      taker.commit(taken)
      // The point of no return lies inside: what throws has made no socket, and nothing was sent.
      adopting.adopt(taken.giver, taken.offer)
    } catch (error) {
      this.#refuse(taken, error)
      return
    }
    taker.adopted(taken)
    this.#restoreSeconds.observe((performance.now() - startedAtMs) / 1000)
    metrics.adopted.child().value++
    this.#options.onAdopted(adoption)
  }

  #restore(taken: Taken, delivery: Delivery, ready: Ready): void {
    const { metrics } = this.#options
    const taker = this.#options.taker()
    if (!taker.begin(taken)) {
      metrics.refused.inc('BATON_HANDOFF_EXPIRED')
      ready.cancel()
      return
    }
    try {
      // Noted first: without the note a successor of this process could not answer for it.
      taker.commit(taken)
    } catch (error) {
      ready.cancel()
      this.#refuse(taken, error)
      return
    }
    this.#goLive(taken, delivery, ready, (error) => this.#tryAgain(taken, delivery, ready, error))
  }

  /** The client uses a port again whose last connection is in TIME_WAIT here: that is ended, and it is tried once more. */
  #tryAgain(taken: Taken, delivery: Delivery, ready: Ready, error: unknown): void {
    const refuse = (cause: unknown) => {
      ready.cancel()
      this.#refuse(taken, cause)
    }
    if (!isBatonError(error) || error.code !== 'BATON_RESTORE_TAKEN') {
      refuse(error)
      return
    }
    this.#preparing++
    void endTimeWait(taken.offer.snapshot.flow)
      .then((ended) => (ended ? this.#goLive(taken, delivery, ready, refuse) : refuse(error)))
      .finally(() => {
        this.#preparing--
        this.#tellEmpty()
      })
  }

  #goLive(taken: Taken, delivery: Delivery, ready: Ready, onFailed: (error: unknown) => void): void {
    const { metrics } = this.#options
    const taker = this.#options.taker()
    const startedAtMs = performance.now()
    const { snapshot } = taken.offer
    const given = delivery.readsStream === true && mayLeaveUnread(snapshot)
    let fd: number
    try {
      // The point of no return lies inside: a restore that throws has sent nothing and left no socket behind.
      fd = restore(snapshot, { unread: given ? 'caller' : 'kernel' })
    } catch (error) {
      onFailed(error)
      return
    }
    taker.adopted(taken)
    const restoredAtMs = performance.now()
    this.#restoreSeconds.observe((restoredAtMs - startedAtMs) / 1000)
    metrics.adopted.child().value++
    this.#deliver(taken, fd, delivery, ready, given ? snapshot.receive.queue : undefined)
    this.#deliverSeconds.observe((performance.now() - restoredAtMs) / 1000)
  }

  /** From here on the client is ours: what fails ends its connection. */
  #deliver(taken: Taken, fd: number, delivery: Delivery, ready: Ready, given: Buffer | undefined): void {
    const { logger } = this.#options
    let socket: SessionSocket
    try {
      socket = new SessionSocket(fd, { allowHalfOpen: delivery.allowHalfOpen, given })
      if (taken.offer.claimed !== null) claimPeer(socket, taken.offer.claimed)
    } catch (cause) {
      const error = new BatonError('BATON_AGENT_DELIVERY', { cause })
      logger.error({ err: error }, error.message)
      closeFd(fd)
      ready.cancel()
      this.#options.taker().ended(taken)
      return
    }
    const adoption = { frontendId: taken.giver.id, offer: taken.offer }
    const served = new Served(adoption, socket, (ended) => {
      this.#forget(ended)
      this.#options.onEnd(ended)
    })
    // A flow that was here before and came back: its old socket was closed when it left.
    this.#served.set(served.flowId, { served, taken })
    const { giver, offer } = taken
    const notes = { id: offer.id, frontendId: giver.id, giverEpoch: giver.epoch, context: offer.context }
    this.#options.table()?.note(served.flow, notes)
    this.#options.onAdopted(adoption)
    try {
      ready.deliver(served)
    } catch (cause) {
      const error = new BatonError('BATON_AGENT_DELIVERY', { cause })
      logger.error({ err: error }, error.message)
      served.endsBy('error')
      socket.destroy()
    }
  }

  #forget(served: Served): void {
    const entry = this.#served.get(served.flowId)
    if (entry?.served !== served) return
    this.#served.delete(served.flowId)
    this.#options.table()?.strike(served.flow, served.id)
    this.#options.taker().ended(entry.taken)
    this.#tellEmpty()
  }

  #tellEmpty(): void {
    if (this.#served.size === 0 && this.#preparing === 0) this.#onEmpty?.()
  }
}
