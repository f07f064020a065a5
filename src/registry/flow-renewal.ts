import { setTimeout as sleep } from 'node:timers/promises'
import { MAX_QUEUED_WRITES, type RedisFlows } from './redis-flows.js'
import { FLOW_GENERATION_MS, type FlowRecord } from './registry.js'

const SLICE = 500
/** A pause between slices, so that a million flows take ten seconds and not the event loop. */
const PAUSE_MS = 5

/** Writes the live flows again twice a generation, and when asked: their notes are in the newest generation then. */
export class FlowRenewal {
  readonly #flows: RedisFlows
  readonly #timer: NodeJS.Timeout
  readonly #abort = new AbortController()
  #source: (() => Iterable<FlowRecord>) | undefined
  #running: Promise<void> | undefined

  constructor(flows: RedisFlows) {
    this.#flows = flows
    this.#timer = setInterval(() => this.renew(), FLOW_GENERATION_MS / 2).unref()
  }

  set source(source: () => Iterable<FlowRecord>) {
    this.#source = source
  }

  renew(): void {
    const source = this.#source
    if (source === undefined) return
    this.#running ??= this.#renewAll(source()).finally(() => {
      this.#running = undefined
    })
  }

  async #renewAll(flows: Iterable<FlowRecord>): Promise<void> {
    let slice: FlowRecord[] = []
    for (const flow of flows) {
      slice.push(flow)
      if (slice.length < SLICE) continue
      this.#flows.put(slice)
      slice = []
      // New handoffs must find room in the queue: with Redis away the rest waits for it.
      do {
        await sleep(PAUSE_MS, undefined, { ref: false })
        if (this.#abort.signal.aborted) return
      } while (this.#flows.queued > MAX_QUEUED_WRITES / 2)
    }
    this.#flows.put(slice)
  }

  close(): void {
    clearInterval(this.#timer)
    this.#abort.abort()
  }
}
