import type { Giver, Settlement } from '../handoff/index.js'
import { provokeReset } from '../repair/index.js'
import type { ParkEntry, Steering } from '../steering/index.js'
import type { Logger } from '../telemetry/index.js'
import type { Backend } from './backend.js'
import type { Given } from './connection.js'

export interface TakeoverOptions {
  readonly steering: Steering
  readonly giver: Giver<Given>
  readonly logger: Logger
  /** How long an agent may take to come back before its flows are given up, in ms. */
  readonly patienceMs: number
}

/**
 * Flows that a predecessor left parked: it died between freeze and ADOPTED. Its frozen sockets died with it, so the
 * connection lives only if the agent adopted it; the agent is asked. Until it has answered, the flow's packets wait.
 */
export class Takeover {
  readonly #options: TakeoverOptions
  readonly #waiting = new Map<string, (ParkEntry & { readonly nextHop: string })[]>()
  #timer: NodeJS.Timeout | undefined

  constructor(options: TakeoverOptions) {
    this.#options = options
    const { steering, logger, patienceMs } = options
    const { leftParked } = steering
    if (leftParked.length === 0) return
    logger.warn({ flows: leftParked.length }, 'a predecessor left flows parked: asking their agents')
    for (const { key, id, nextHop } of leftParked) {
      if (nextHop === null) this.#nobody([{ key, id, nextHop }])
      // Its agent was about to give it back, and has it still.
      else if (id === 0) steering.steer([{ key, id, nextHop }])
      else {
        const entries = this.#waiting.get(nextHop) ?? []
        entries.push({ key, id, nextHop })
        this.#waiting.set(nextHop, entries)
      }
    }
    this.#timer = setTimeout(() => this.#giveUp(), patienceMs)
    this.#timer.unref()
  }

  /** An agent is there: what went to its host is asked about. */
  channelUp(backend: Backend): void {
    for (const hop of [backend.steerTo.ipv4, backend.steerTo.ipv6]) {
      if (hop === null) continue
      const entries = this.#waiting.get(hop)
      this.#waiting.delete(hop)
      for (const entry of entries ?? []) {
        const settled = (settlement: Settlement) => this.#settled(entry, settlement)
        this.#options.giver.inherit(backend.id, entry.id, { kind: 'left', settled })
      }
    }
  }

  #settled(entry: ParkEntry & { readonly nextHop: string }, settlement: Settlement): void {
    const { steering, logger } = this.#options
    logger.info({ id: entry.id, outcome: settlement.kind }, 'flow of a predecessor settled')
    switch (settlement.kind) {
      case 'adopted':
        steering.steer([entry])
        return
      case 'ended':
        steering.steer([entry])
        steering.linger([entry.key])
        return
      case 'refused':
      case 'lost':
        this.#nobody([entry])
        return
      default:
        settlement satisfies never
    }
  }

  #giveUp(): void {
    for (const entries of this.#waiting.values()) this.#nobody(entries)
    this.#waiting.clear()
  }

  /**
   * Nobody has these connections: their clients are told. While the flow is parked, so that the client's answer finds no
   * socket here, and meets RST, however fast it comes.
   */
  #nobody(entries: readonly ParkEntry[]): void {
    for (const { key } of entries) {
      try {
        provokeReset(key)
      } catch (error) {
        this.#options.logger.warn({ err: error }, 'a client cannot be told that its connection is gone')
      }
    }
    this.#options.steering.unpark(entries.map((entry) => entry.key))
  }

  close(): void {
    clearTimeout(this.#timer)
  }
}
