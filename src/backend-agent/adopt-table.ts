import type { Closed } from '../handoff/index.js'
import { FLOW_KEY_BYTES, type FlowKey, flowId } from '../kernel/flow.js'
import type { Logger } from '../telemetry/index.js'
import { type Ending, readEnding } from './adopt-ending.js'
import {
  type AdoptionEntry,
  adoptionLayout,
  type Expected,
  endingLayout,
  frontendField,
  type Notes,
  readAdoption,
  sinceKey,
  writeSince,
  writeThrough,
} from './adopt-layout.js'
import { type Birth, clearOffer, flowOnOffer, missedEndings, readBirth, writeOffer } from './adopt-offer.js'
import { type AdoptPrograms, openAdoptPrograms } from './adopt-programs.js'
import { resetConnection } from './adopt-reset.js'
import { segmentFrame } from './adopt-segments.js'

/** Between two looks whether the ring buffer had no room for an end, beside those after each reading, in ms. */
const SWEEP_MS = 10_000
const nothing = Buffer.alloc(0)

export interface AdoptTableOptions {
  /** Of the agent: a later process of this id takes over what is left. */
  readonly id: string
  readonly epoch: number
  readonly logger: Logger
  /** An adopted connection is over. @param giver whose offer it was */
  onEnd(frontendId: string, record: Closed, giver: Notes): void
}

/** What a previous process had in hand, as its successor must answer when it is asked. */
export interface Left {
  readonly flow: FlowKey
  readonly notes: Notes
  readonly outcome: 'adopted' | 'refused'
}

interface Live {
  readonly flow: FlowKey
  readonly giver: Notes
  /** Who is told of the end: the giver, or who has claimed the connection since. */
  frontendId: string
}

/**
 * The books of adopted connections, in a map that outlives the process: what is expected, what was born, how it ended. The
 * kernel writes them too, so an entry is written whole only before its birth.
 */
export class AdoptTable {
  readonly programs: AdoptPrograms
  readonly #options: AdoptTableOptions
  readonly #live = new Map<string, Live>()
  /** Connections that pass through this process, with the number of their handoff. */
  readonly #through = new Map<string, number>()
  readonly #value = Buffer.alloc(adoptionLayout.size)
  readonly #sweep: NodeJS.Timeout
  /** The flow on offer, as its caller has it. */
  #offered: FlowKey | undefined
  #missed: number
  #since = 0
  #closed = false

  /** @throws BatonError BATON_ADOPT_UNAVAILABLE, BATON_ADOPT_BUSY */
  constructor(options: AdoptTableOptions) {
    this.#options = options
    this.programs = openAdoptPrograms(options.id, (records, count) => this.#ended(records, count))
    this.#missed = missedEndings(this.programs.offer)
    this.#sweep = setInterval(() => this.#sweepMissed(), SWEEP_MS)
    this.#sweep.unref()
  }

  /** Connections that the application has by itself. */
  get active(): number {
    return this.#live.size
  }

  /** Epoch of the first process whose connections stand here. */
  get since(): number {
    return this.#since
  }

  /** Finds what previous processes left: what lives is watched on, ends since then are told. Once, before anything else. */
  resume(): Left[] {
    const { map } = this.programs
    const left: Left[] = []
    for (const { keys, values, count } of map.chunks()) {
      for (let index = 0; index < count; index++) {
        const key = Buffer.from(keys.subarray(index * 36, (index + 1) * 36))
        const entry = readAdoption(values, index * adoptionLayout.size)
        if (key.equals(sinceKey)) this.#since = entry.notes.giverEpoch
        else left.push(...this.#resumeOne(key, entry))
      }
    }
    left.push(...this.#resumeOffer())
    if (this.#since === 0) {
      this.#since = this.#options.epoch
      writeSince(this.#value, this.#since)
      map.set(sinceKey, this.#value)
    }
    if (this.#live.size > 0) this.#options.logger.info({ connections: this.#live.size }, 'adopted before')
    this.#reap()
    return left
  }

  /** Whether this host has a connection of that flow that has not ended, as far as the table knows. */
  has(flow: FlowKey): boolean {
    const key = flowId(flow)
    if (!this.#live.has(key)) return this.#through.has(key)
    const entry = this.#read(flow)
    if (entry?.state === 'born') this.#vanished(flow, entry)
    else if (entry?.state === 'ended') this.#end(flow, entry)
    return this.#live.has(key)
  }

  /** Puts a flow on offer to what is played in; one at a time. */
  expect(flow: FlowKey, expected: Expected): void {
    writeOffer(this.programs.offer, flow, expected)
    this.#offered = flow
  }

  /** What has become of what was expected; undefined when nothing was. */
  birthOf(flow: FlowKey): Birth | undefined {
    if (flow === this.#offered) return readBirth(this.programs.offer)
    return this.programs.map.get(flow, this.#value) ? readBirth(this.#value) : undefined
  }

  #read(flow: FlowKey): AdoptionEntry | undefined {
    return this.programs.map.get(flow, this.#value) ? readAdoption(this.#value) : undefined
  }

  /** Nothing was born of what was expected. */
  forget(flow: FlowKey): void {
    if (flow === this.#offered) {
      this.#offered = undefined
      clearOffer(this.programs.offer)
    }
    this.programs.map.delete(flow)
  }

  /** It was: its end will be told. */
  born(flow: FlowKey, giver: Notes): void {
    this.#live.set(flowId(flow), { flow, giver, frontendId: giver.frontendId })
  }

  /** An adopted connection that lives, for a frontend that claims it: whoever is set as its frontend is told of its end. */
  find(flow: FlowKey): { readonly id: number; frontendId: string; readonly session: undefined } | undefined {
    this.#look(flow)
    const live = this.#live.get(flowId(flow))
    if (live === undefined) return undefined
    const { programs } = this
    return {
      id: live.giver.id,
      session: undefined,
      get frontendId() {
        return live.frontendId
      },
      set frontendId(id) {
        live.frontendId = id
        programs.claim(frameOf(flow, frontendField(id)))
      },
    }
  }

  /**
   * Notes a connection that passes through this process, as the fallback has them: frontends are told that nothing
   * ends with this process, so its successor tells of these.
   */
  note(flow: FlowKey, notes: Notes): void {
    this.#through.set(flowId(flow), notes.id)
    writeThrough(this.#value, notes)
    this.programs.map.set(flow, this.#value)
  }

  /** Such a connection is over. */
  strike(flow: FlowKey, id: number): void {
    const key = flowId(flow)
    if (this.#closed || this.#through.get(key) !== id) return
    this.#through.delete(key)
    this.programs.map.delete(flow)
  }

  /** Adopted connections go on without this process; pins stay as long as there are any. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    clearInterval(this.#sweep)
    this.#reap()
    this.programs.close(this.#live.size === 0)
  }

  /** Takes everything out of the kernel. Adopted connections live on, and nobody is told of their ends. */
  detach(): void {
    if (this.#closed) return
    this.#closed = true
    clearInterval(this.#sweep)
    this.programs.close(true)
  }

  #sweepMissed(): void {
    const missed = missedEndings(this.programs.offer)
    if (missed === this.#missed) return
    this.#missed = missed
    this.#reap()
  }

  #reap(): void {
    for (const { flow } of [...this.#live.values()]) this.#look(flow)
  }

  #look(flow: FlowKey): void {
    if (!this.#live.has(flowId(flow))) return
    const entry = this.#read(flow)
    if (entry?.state === 'ended') this.#end(flow, entry)
  }

  /** What the kernel tells: everything of one wake-up goes from the books in one call. */
  #ended(records: Buffer, count: number): void {
    const keys = Buffer.allocUnsafe(count * FLOW_KEY_BYTES)
    let ended = 0
    for (let at = 0; at < count * endingLayout.size; at += endingLayout.size) {
      const key = records.toString('latin1', at, at + FLOW_KEY_BYTES)
      const live = this.#live.get(key)
      const ending = readEnding(records, at)
      // The flow may have been used again, and its former end been found by then.
      if (live === undefined || live.giver.id !== ending.id) continue
      this.#live.delete(key)
      keys.set(live.flow, ended++ * FLOW_KEY_BYTES)
      this.#tell(live, ending)
    }
    if (ended > 0) this.programs.map.delete(keys, ended)
    this.#sweepMissed()
  }

  /** What the process before this had on offer when it died: where nothing was born of it, nothing will be. */
  #resumeOffer(): Left[] {
    const { offer } = this.programs
    const { state, notes } = readAdoption(offer)
    clearOffer(offer)
    if (state !== 'expected') return []
    return [{ flow: flowOnOffer(offer), notes, outcome: 'refused' }]
  }

  #resumeOne(flow: FlowKey, entry: AdoptionEntry): Left[] {
    const { notes } = entry
    if (entry.state === 'through') {
      this.#end(flow, entry, 'error')
      return []
    }
    if (entry.state !== 'born' && entry.state !== 'ended') {
      // Its device is gone, so nothing will be born of it.
      this.programs.map.delete(flow)
      return [{ flow, notes, outcome: 'refused' }]
    }
    this.born(flow, notes)
    const taken = entry.state === 'born' ? this.#vanished(flow, entry) : undefined
    // It died while it played bytes in, and nobody has them any more.
    if (taken !== undefined && taken < entry.unread) resetConnection(flow, this.#options.logger)
    return [{ flow, notes, outcome: 'adopted' }]
  }

  /**
   * The table says that it lives; where the host has no such socket, its end was not seen.
   * @returns bytes that the socket has taken from its first sequence on
   */
  #vanished(flow: FlowKey, entry: AdoptionEntry): number | undefined {
    const taken = this.programs.progress(frameOf(flow, nothing, entry.sequence))
    if (taken === undefined) this.#end(flow, entry, 'error')
    return taken
  }

  #end(flow: FlowKey, entry: AdoptionEntry, cause: Closed['cause'] = entry.cause): void {
    const key = flowId(flow)
    const { notes } = entry
    const live = this.#live.get(key) ?? { flow, giver: notes, frontendId: notes.frontendId }
    this.#live.delete(key)
    this.programs.map.delete(flow)
    const { bytesIn, bytesOut, durationMs } = entry
    this.#tell(live, { id: notes.id, bytesIn, bytesOut, durationMs, cause })
  }

  #tell({ flow, giver, frontendId }: Live, ending: Omit<Ending, 'cause'> & Pick<Closed, 'cause'>): void {
    const { id, bytesIn, bytesOut, durationMs, cause } = ending
    const { context } = giver
    const closed = {
      id,
      flow,
      bytesIn,
      bytesOut,
      durationMs,
      cause,
      requests: 0,
      status: 0,
      context,
    } as const
    this.#options.onEnd(frontendId, { type: 'closed', ...closed }, giver)
  }
}

/** A frame by which the programs know a flow. */
function frameOf(flow: FlowKey, payload: Buffer, sequence = 0): Buffer {
  return segmentFrame({ flow, sequence, acknowledgement: 0, window: 0, payload })
}
