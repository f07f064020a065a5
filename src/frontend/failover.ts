import { isBatonError } from '../errors/index.js'
import type { Channel, Claim, Claimed } from '../handoff/index.js'
import { type FlowKey, flowId, isIpv4Flow } from '../kernel/flow.js'
import type { FlowRecord } from '../registry/index.js'
import type { Steering } from '../steering/index.js'
import type { Logger } from '../telemetry/index.js'
import type { Backend } from './backend.js'
import {
  type LookupEvent,
  type LookupResult,
  type LookupState,
  stepLookup,
  verdict,
} from './failover-step.js'

/** How long a flow's packets wait at most, in ms; the steering's own limit is five seconds. */
export const LOOKUP_LIMIT_MS = 4000
/** When a question is asked again, in ms. */
const AGAIN_MS = 200
const TICK_MS = 50
/** Flows in question at once, as many as the steering keeps packets of; and questions to Redis at once. */
const MAX_LOOKUPS = 4096
const MAX_LOOKING = 512

export interface FailoverOptions {
  readonly steering: Pick<Steering, 'steer' | 'unpark' | 'drop'>
  readonly logger: Pick<Logger, 'info' | 'debug' | 'error'>
  /** @throws BatonError BATON_REGISTRY_UNAVAILABLE, as a rejection */
  findFlow(key: FlowKey): Promise<FlowRecord | undefined>
  /** Whether it is worth while to ask the registry. */
  connected(): boolean
  backend(
    id: string,
  ): (Pick<Backend, 'knowsOf' | 'nextHop'> & { channel: Pick<Channel, 'send'> | undefined }) | undefined
  onResult(result: LookupResult): void
}

interface Lookup {
  readonly key: FlowKey
  readonly sinceMs: number
  state: LookupState
  /** While waiting: not before. */
  notBeforeMs: number
  /** The note that was found last. */
  record: FlowRecord | undefined
  /** Of the handoff that the agent knew nothing of. */
  deniedId: number | undefined
  /** The registry had no note of it, once. */
  missed: boolean
}

/**
 * Flows of which packets came here though another frontend handed them over (failover, ECMP reshuffle): while the
 * packets wait in the steering, Redis is asked who has the connection, then its agent whether it still does, and from
 * then on this frontend steers it (docs/decisions/0007).
 */
export class Failover {
  readonly #options: FailoverOptions
  readonly #lookups = new Map<string, Lookup>()
  /** Results since there was last nothing in question. */
  #burst: Partial<Record<LookupResult, number>> = {}
  #looking = 0
  #timer: NodeJS.Timeout | undefined

  constructor(options: FailoverOptions) {
    this.#options = options
  }

  /** Flows in question now. */
  get waiting(): number {
    return this.#lookups.size
  }

  /** The steering's onUnknown. */
  ask(key: FlowKey): void {
    const id = flowId(key)
    if (this.#lookups.has(id)) return
    const sinceMs = performance.now()
    const lookup: Lookup = {
      key,
      sinceMs,
      state: 'waiting',
      notBeforeMs: sinceMs,
      record: undefined,
      deniedId: undefined,
      missed: false,
    }
    this.#lookups.set(id, lookup)
    if (this.#lookups.size > MAX_LOOKUPS) {
      this.#step(lookup, 'late')
      return
    }
    this.#timer ??= setInterval(() => this.#tick(), TICK_MS)
    this.#turn(lookup)
  }

  /** An agent is there: whoever waits for it asks it. */
  channelUp(agentId: string): void {
    for (const lookup of [...this.#lookups.values()]) {
      if (lookup.state === 'reaching' && lookup.record?.agentId === agentId)
        this.#reach(lookup, lookup.record)
    }
  }

  channelDown(agentId: string): void {
    for (const lookup of this.#lookups.values()) {
      if (lookup.state === 'claiming' && lookup.record?.agentId === agentId) this.#step(lookup, 'away')
    }
  }

  claimed(agentId: string, { id, flow, answer }: Claimed): void {
    const lookup = this.#lookups.get(flowId(flow))
    const { record } = lookup ?? {}
    // It came after our patience was over: the next packet asks again.
    if (lookup?.state !== 'claiming' || record?.agentId !== agentId || record.handoffId !== id) return
    if (answer !== 'none') {
      this.#step(lookup, answer)
      return
    }
    this.#step(lookup, lookup.deniedId === id ? 'none-again' : 'none')
    lookup.deniedId = id
  }

  /** Whoever still waits is forgotten; the steering drops the packets. */
  close(): void {
    clearInterval(this.#timer)
    this.#lookups.clear()
  }

  #tick(): void {
    const now = performance.now()
    for (const lookup of [...this.#lookups.values()]) {
      if (now - lookup.sinceMs > LOOKUP_LIMIT_MS) this.#step(lookup, 'late')
      else if (lookup.state === 'waiting' && now >= lookup.notBeforeMs) this.#turn(lookup)
    }
  }

  #turn(lookup: Lookup): void {
    const { findFlow, connected } = this.#options
    if (this.#looking >= MAX_LOOKING || !connected()) return
    this.#step(lookup, 'turn')
    this.#looking++
    findFlow(lookup.key)
      .finally(() => {
        this.#looking--
      })
      .then(
        (record) => this.#found(lookup, record),
        (error: unknown) => this.#failed(lookup, error),
      )
  }

  /** False: its time was over before the registry answered, or this frontend's. */
  #isLooking(lookup: Lookup): boolean {
    return lookup.state === 'looking' && this.#lookups.get(flowId(lookup.key)) === lookup
  }

  #found(lookup: Lookup, record: FlowRecord | undefined): void {
    if (!this.#isLooking(lookup)) return
    lookup.record = record
    if (record !== undefined) {
      this.#reach(lookup, record)
      return
    }
    this.#step(lookup, lookup.missed ? 'absent-again' : 'absent')
    lookup.missed = true
  }

  #failed(lookup: Lookup, error: unknown): void {
    if (!isBatonError(error)) throw error
    this.#options.logger.debug({ err: error }, 'the registry cannot say who has a flow')
    if (this.#isLooking(lookup)) this.#step(lookup, 'unavailable')
  }

  #reach(lookup: Lookup, record: FlowRecord): void {
    const backend = this.#options.backend(record.agentId)
    if (backend?.channel === undefined) {
      if (lookup.state === 'looking') this.#step(lookup, 'away')
      return
    }
    if (!backend.knowsOf(record.agentEpoch)) {
      this.#step(lookup, 'restarted')
      return
    }
    this.#step(lookup, 'up')
    const claim: Claim = { type: 'claim', id: record.handoffId, flow: lookup.key }
    backend.channel.send(claim)
  }

  #step(lookup: Lookup, event: LookupEvent): void {
    const state = stepLookup(lookup.state, event)
    lookup.state = state
    switch (state) {
      case 'waiting':
        lookup.notBeforeMs = performance.now() + AGAIN_MS
        return
      case 'looking':
      case 'reaching':
      case 'claiming':
        return
      case 'steered':
      case 'unknown':
      case 'gone':
      case 'unreachable':
      case 'unanswered':
        this.#finish(lookup, state)
        return
      default:
        state satisfies never
    }
  }

  /** At once: the agent's CLOSED may be the next message, and must find the entry. */
  #finish(lookup: Lookup, result: LookupResult): void {
    const { key } = lookup
    this.#lookups.delete(flowId(key))
    const told = this.#answer(lookup, result)
    this.#burst[told] = (this.#burst[told] ?? 0) + 1
    this.#options.onResult(told)
    if (this.#lookups.size > 0) return
    clearInterval(this.#timer)
    this.#timer = undefined
    const { logger } = this.#options
    const level = this.#burst.steered === undefined ? 'debug' : 'info'
    logger[level]({ ...this.#burst }, 'flows that nobody knew here were looked up')
    this.#burst = {}
  }

  /** @returns the result as it came out */
  #answer({ key, record }: Lookup, result: LookupResult): LookupResult {
    const { steering, logger, backend } = this.#options
    const act = verdict(result)
    if (act === 'unpark') steering.unpark([key])
    else if (act === 'drop') steering.drop([key])
    else {
      const nextHop = record && backend(record.agentId)?.nextHop(isIpv4Flow(key))
      try {
        if (typeof nextHop !== 'string')
          throw new RangeError(`${record?.agentId} has no next hop for the flow`)
        steering.steer([{ key, id: record?.handoffId ?? 0, nextHop }])
      } catch (error) {
        logger.error({ err: error }, 'a flow of another frontend cannot be steered')
        steering.drop([key])
        return 'unanswered'
      }
    }
    return result
  }
}
