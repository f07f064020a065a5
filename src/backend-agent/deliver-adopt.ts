import { BatonError } from '../errors/index.js'
import type { Closed, Offer } from '../handoff/index.js'
import { addressBytes, type Endpoint, type FlowKey, flowId } from '../kernel/flow.js'
import type { Logger } from '../telemetry/index.js'
import {
  type AdoptionEntry,
  adoptionLayout,
  type Notes,
  readAdoption,
  writeExpected,
  writeThrough,
} from './adopt-layout.js'
import { Player } from './adopt-player.js'
import { type AdoptPrograms, openAdoptPrograms, syncookiesOff } from './adopt-programs.js'
import { isIpv4, segmentFrame } from './adopt-segments.js'
import type { Adoption } from './served.js'

/** Room for the giver's last segments, which carry its own clock; as in src/repair/restore.ts. */
const TIMESTAMP_LEAD_MS = 10
/** What bpf_sk_assign_tcp_reqsk demands (net/core/filter.c): TCP_MIN_MSS's neighbours by family. */
const MIN_MSS = { ipv4: 536, ipv6: 1220 } as const
/** How long the setting net.ipv4.tcp_syncookies is believed, in ms. */
const SETTING_MS = 1000
const EADDRINUSE = 98
/** Between two looks for ends that the ring buffer had no room for, in ms. */
const SWEEP_MS = 10_000

export interface AdoptOptions {
  /** Of the agent: a later process of this id takes over what is left. */
  readonly id: string
  /** Where the application listens. A flow of the other family is looked up by the VIP and this port. */
  readonly address: Endpoint
  readonly logger: Logger
  /** An adopted connection is over. */
  onEnd(frontendId: string, record: Closed): void
}

/**
 * Puts connections into the accept queue of the application's own listening socket.
 *
 *     entry written ─► first segment played in ─► child born ─► the rest played ─► … ─► ended ─► CLOSED
 *                              └── not born: entry removed, REFUSED
 *
 * Playing in is write(2) to a device whose frames are received within that call (net/core/dev.c), so that when it
 * returns the child is there or never will be; no time has to be waited for. Birth is the point of no return: the
 * application may have answered by then.
 */
export class AdoptDelivery {
  readonly #options: AdoptOptions
  readonly #programs: AdoptPrograms
  readonly #live = new Map<string, { readonly flow: FlowKey; readonly context: Buffer | undefined }>()
  readonly #players = new Set<Player>()
  readonly #value = Buffer.alloc(adoptionLayout.size)
  readonly #sweep: NodeJS.Timeout
  #settingReadAtMs = 0
  #closed = false

  /** @throws BatonError BATON_ADOPT_UNAVAILABLE, BATON_ADOPT_BUSY */
  constructor(options: AdoptOptions) {
    this.#options = options
    this.#programs = openAdoptPrograms(options.id, (flow) => this.#ended(flow))
    this.#sweep = setInterval(() => this.#reap(), SWEEP_MS)
    this.#sweep.unref()
  }

  /** Connections that the application has by this way. */
  get active(): number {
    return this.#live.size
  }

  /** Finds what a previous process adopted: what lives is watched on, the ends since then are told. */
  resume(): void {
    for (const { keys, values, count } of this.#programs.map.chunks()) {
      for (let index = 0; index < count; index++) {
        const key = Buffer.from(keys.subarray(index * 36, (index + 1) * 36))
        this.#resumeOne(key, readAdoption(values, index * adoptionLayout.size))
      }
    }
    if (this.#live.size > 0) this.#options.logger.info({ connections: this.#live.size }, 'adopted before')
    this.#reap()
  }

  /** Why a connection cannot be adopted; undefined when it can. */
  unfit({ snapshot }: Offer): BatonError | undefined {
    const ipv4 = isIpv4(snapshot.flow)
    const why =
      snapshot.send.queue.length > 0
        ? 'bytes to the client are not acknowledged'
        : snapshot.mss < MIN_MSS[ipv4 ? 'ipv4' : 'ipv6']
          ? `its segments are of ${snapshot.mss} bytes only`
          : snapshot.flow.readUInt16BE(0) >> 6 === 0xfe80 >> 6
            ? 'its client has a link-local address'
            : undefined
    return why === undefined ? undefined : new BatonError('BATON_ADOPT_UNFIT', { detail: why })
  }

  /**
   * Past the point of no return when it returns.
   * @throws BatonError BATON_ADOPT_*: nothing was born, and nothing has been sent
   */
  adopt({ frontendId, offer }: Adoption): void {
    const { snapshot, context, id } = offer
    const { flow } = snapshot
    this.#mayPlay()
    const before = this.#programs.map.get(flow, this.#value) ? readAdoption(this.#value) : undefined
    if (before?.state === 'born') this.#vanished(flow, before)
    else if (before?.state === 'ended') this.#end(flow, before)
    if (this.#live.has(flowId(flow))) throw taken()
    const { timestamps } = snapshot.options
    const lead = TIMESTAMP_LEAD_MS * (timestamps?.microseconds ? 1000 : 1)
    const clock = ((timestamps?.value ?? 0) + lead) >>> 0
    writeExpected(this.#value, { snapshot, ...this.#listener(flow), clock, id, frontendId, context })
    if (this.#programs.map.set(flow, this.#value) === 0) {
      throw new BatonError('BATON_ADOPT_REFUSED', { detail: 'the table of adopted connections is full' })
    }
    const player = new Player(snapshot, this.#programs, () => this.#players.delete(player))
    player.first()
    this.#programs.map.get(flow, this.#value)
    const entry = readAdoption(this.#value)
    if (entry.state !== 'born' && entry.state !== 'ended') {
      this.#programs.map.delete(flow)
      throw refusal(entry)
    }
    this.#live.set(flowId(flow), { flow, context })
    this.#players.add(player)
    player.rest()
  }

  /**
   * Notes a connection that passes through this process, as the fallback has them: frontends are told that nothing
   * ends with this process, so its successor tells of these.
   */
  note(flow: FlowKey, notes: Notes): void {
    writeThrough(this.#value, notes)
    this.#programs.map.set(flow, this.#value)
  }

  /** Such a connection is over. */
  strike(flow: FlowKey, id: number): void {
    if (this.#closed || !this.#programs.map.get(flow, this.#value)) return
    const entry = readAdoption(this.#value)
    if (entry.state === 'through' && entry.id === id) this.#programs.map.delete(flow)
  }

  /** Adopted connections go on without this process; what is not played yet is lost with it. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    clearInterval(this.#sweep)
    for (const player of this.#players) player.stop()
    this.#reap()
    this.#programs.close(this.#live.size === 0)
  }

  #listener(flow: FlowKey): { address: Buffer; port: number } {
    const { address, port } = this.#options.address
    const bytes = addressBytes(address)
    const same = address.includes(':') !== isIpv4(flow)
    return { address: same ? bytes : flow.subarray(16, 32), port }
  }

  #mayPlay(): void {
    const now = performance.now()
    if (this.#settingReadAtMs !== 0 && now - this.#settingReadAtMs < SETTING_MS) return
    if (syncookiesOff()) {
      throw new BatonError('BATON_ADOPT_UNAVAILABLE', { detail: 'net.ipv4.tcp_syncookies is 0' })
    }
    this.#settingReadAtMs = now
  }

  #reap(): void {
    for (const { flow } of [...this.#live.values()]) this.#ended(flow)
  }

  #ended(flow: FlowKey): void {
    if (!this.#live.has(flowId(flow)) || !this.#programs.map.get(flow, this.#value)) return
    const entry = readAdoption(this.#value)
    if (entry.state === 'ended') this.#end(flow, entry)
  }

  #resumeOne(flow: FlowKey, entry: AdoptionEntry): void {
    if (entry.state === 'born' || entry.state === 'ended') {
      this.#live.set(flowId(flow), { flow, context: undefined })
      if (entry.state === 'born') this.#vanished(flow, entry)
    } else if (entry.state === 'through') this.#end(flow, { ...entry, cause: 'error' })
    else this.#programs.map.delete(flow)
  }

  /** The table says that it lives; where the host has no such socket, its end was not seen. */
  #vanished(flow: FlowKey, entry: AdoptionEntry): void {
    const frame = segmentFrame({ flow, sequence: 0, acknowledgement: 0, window: 0, payload: Buffer.alloc(0) })
    if (this.#programs.progress(frame) === undefined) this.#end(flow, { ...entry, cause: 'error' })
  }

  #end(flow: FlowKey, entry: AdoptionEntry): void {
    const key = flowId(flow)
    const context = this.#live.get(key)?.context ?? entry.context
    this.#live.delete(key)
    this.#programs.map.delete(flow)
    this.#options.onEnd(entry.frontendId, {
      type: 'closed',
      id: entry.id,
      flow,
      bytesIn: entry.bytesIn,
      bytesOut: entry.bytesOut,
      durationMs: entry.durationMs,
      cause: entry.cause,
      requests: 0,
      status: 0,
      context,
    })
  }
}

function taken(): BatonError {
  return new BatonError('BATON_ADOPT_REFUSED', { detail: 'a socket of this very connection is here already' })
}

function refusal({ state, failure }: AdoptionEntry): BatonError {
  if (state === 'tried') return new BatonError('BATON_ADOPT_QUEUE_FULL')
  if (failure === 1) return new BatonError('BATON_ADOPT_NO_LISTENER')
  if (failure === EADDRINUSE) return taken()
  if (failure !== 0) return new BatonError('BATON_ADOPT_REFUSED', { errno: failure })
  return new BatonError('BATON_ADOPT_REFUSED', { detail: 'the segment did not get through' })
}
