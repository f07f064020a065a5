import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Claimed } from '../handoff/index.js'
import { type FlowKey, flowId } from '../kernel/flow.js'
import type { IdleFlow, Steering } from '../steering/index.js'
import type { Logger } from '../telemetry/index.js'
import type { Backend } from './backend.js'

/** How long answers are waited for, in ms; a flow without one is asked about in the next round. */
const ANSWER_MS = 5_000
/** Questions without an answer at once. */
const MAX_ASKED = 1024
/** A flow to a host that no backend has any more is over when it was silent for so long, in ms. */
const NOBODY_TO_ASK_MS = 24 * 3_600_000

export interface AuditOptions {
  readonly steering: Pick<Steering, 'idle' | 'lingerOf'>
  readonly logger: Pick<Logger, 'info' | 'error'>
  /** A flow is asked about when no packet of it came for so long, in ms; there is a round in half that time. */
  readonly idleMs: number
  /** Every backend whose host takes steered packets there. */
  backendsAt(nextHop: string): readonly AuditedBackend[]
  /** Flows that were over, and linger from now on. */
  onOver(keys: readonly FlowKey[]): void
}

export type AuditedBackend = Pick<Backend, 'id'> & {
  readonly channel: Pick<NonNullable<Backend['channel']>, 'send' | 'writable'> | undefined
}

interface Question {
  readonly flow: IdleFlow
  /** Agents that have not said anything yet. */
  readonly open: Set<string>
}

/**
 * Finds flows whose end this frontend never heard of: their agent was restarted while this process was away, or its
 * queue of records ran over. Such a flow falls silent, and a silent one may as well be a client that waits; so its agent
 * is asked whether it has the connection. Only what every agent of that host denies lingers.
 */
export class Audit {
  readonly #options: AuditOptions
  readonly #questions = new Map<string, Question>()
  #over: IdleFlow[] = []
  #answered: (() => void) | undefined
  #timer: NodeJS.Timeout | undefined
  #closed = false

  constructor(options: AuditOptions) {
    this.#options = options
    this.#schedule()
  }

  /** An agent's answer. False: the question was not this part's. */
  claimed(agentId: string, { id, flow, answer }: Claimed): boolean {
    const key = flowId(flow)
    const question = this.#questions.get(key)
    if (question === undefined || question.flow.id !== id || !question.open.delete(agentId)) return false
    if (answer !== 'none') this.#questions.delete(key)
    else if (question.open.size === 0) {
      this.#questions.delete(key)
      this.#over.push(question.flow)
    }
    if (this.#questions.size === 0) this.#answered?.()
    return true
  }

  /** One walk through the flow table, in slices. @returns how many flows were over */
  async round(): Promise<number> {
    let over = 0
    for (const flows of this.#options.steering.idle(this.#options.idleMs)) {
      for (let first = 0; first < flows.length; first += MAX_ASKED) {
        over += await this.#ask(flows.slice(first, first + MAX_ASKED))
        if (this.#closed) return over
      }
      await nextTurn()
      if (this.#closed) return over
    }
    return over
  }

  close(): void {
    this.#closed = true
    clearTimeout(this.#timer)
    this.#questions.clear()
    this.#answered?.()
  }

  #schedule(): void {
    this.#timer = setTimeout(() => {
      this.#audit().catch((error: unknown) => {
        this.#options.logger.error({ err: error }, 'the audit of silent flows failed')
      })
    }, this.#options.idleMs / 2).unref()
  }

  async #audit(): Promise<void> {
    try {
      const flows = await this.round()
      if (flows > 0)
        this.#options.logger.info({ flows }, 'silent flows were over, which nobody had told: they linger now')
    } finally {
      if (!this.#closed) this.#schedule()
    }
  }

  async #ask(flows: readonly IdleFlow[]): Promise<number> {
    this.#over = []
    for (const flow of flows) this.#question(flow)
    if (this.#questions.size > 0) await this.#answers()
    // Without an answer it stays what it is until the next round.
    this.#questions.clear()
    if (this.#closed || this.#over.length === 0) return 0
    const verdicts = this.#options.steering.lingerOf(this.#over.map(({ key, id }) => ({ key, id })))
    const ended = this.#over.filter((_flow, index) => verdicts[index] === 'lingers').map(({ key }) => key)
    if (ended.length > 0) this.#options.onOver(ended)
    return ended.length
  }

  #question(flow: IdleFlow): void {
    const backends = this.#options.backendsAt(flow.nextHop)
    if (backends.length === 0) {
      if (flow.idleMs >= NOBODY_TO_ASK_MS) this.#over.push(flow)
      return
    }
    // One that is away may have it.
    if (!backends.every(({ channel }) => channel?.writable)) return
    this.#questions.set(flowId(flow.key), { flow, open: new Set(backends.map(({ id }) => id)) })
    for (const { channel } of backends) channel?.send({ type: 'claim', id: flow.id, flow: flow.key })
  }

  async #answers(): Promise<void> {
    let timer: NodeJS.Timeout | undefined
    await new Promise<void>((resolve) => {
      this.#answered = resolve
      timer = setTimeout(resolve, ANSWER_MS)
    })
    clearTimeout(timer)
    this.#answered = undefined
  }
}
