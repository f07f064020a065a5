import { existsSync, readFileSync } from 'node:fs'
import { BatonError } from '../errors/index.js'
import type { Offer } from '../handoff/index.js'
import { addressBytes, type Endpoint, type FlowKey, isIpv4Flow } from '../kernel/flow.js'
import { discard, restore, type Snapshot } from '../repair/index.js'
import type { Logger } from '../telemetry/index.js'
import { type AdoptDevice, openAdoptDevice } from './adopt-device.js'
import { failures } from './adopt-layout.js'
import type { Birth } from './adopt-offer.js'
import { Player, segmentAt, type Unread, unreadOf } from './adopt-player.js'
import { syncookiesOff } from './adopt-programs.js'
import { resetConnection } from './adopt-reset.js'
import { HEADER_BYTES, writeSegment } from './adopt-segments.js'
import type { AdoptTable } from './adopt-table.js'

/** Room for the giver's last segments, which carry its own clock; as in src/repair/restore.ts. */
const TIMESTAMP_LEAD_MS = 10
/** What bpf_sk_assign_tcp_reqsk demands (net/core/filter.c), by family. */
const MIN_MSS = { ipv4: 536, ipv6: 1220 } as const
const USUAL_MSS = 1460

export interface AdoptOptions {
  /** Of the agent. */
  readonly id: string
  /** Where the application listens. A flow of the other family is looked up by the VIP and this port. */
  readonly address: Endpoint
  readonly table: AdoptTable
  readonly logger: Logger
}

/**
 * Delivery by the kernel: it makes the application's own socket of a segment that is played in, and queues it with the
 * listener. The agent is out of the path from then on.
 *
 * Playing in is write(2) to a device whose frames are received within that call (net/core/dev.c), so that when it
 * returns the child is there or never will be; no time has to be waited for. Birth is the point of no return: the
 * application may have answered by then.
 */
export class AdoptDelivery {
  readonly #options: AdoptOptions
  readonly #device: AdoptDevice
  readonly #players = new Map<Player, FlowKey>()
  readonly #listener: { readonly address: Buffer; readonly port: number }
  readonly #isIpv4: boolean
  /** Where first segments are written. */
  #frame = Buffer.alloc(HEADER_BYTES + USUAL_MSS)
  #closed = false
  #onPlayed: (() => void) | undefined

  /** @throws BatonError BATON_ADOPT_UNAVAILABLE */
  constructor(options: AdoptOptions) {
    this.#options = options
    if (syncookiesOff()) throw cookiesOff()
    const { address, port } = options.address
    this.#listener = { address: addressBytes(address), port }
    this.#isIpv4 = !address.includes(':')
    this.#device = openAdoptDevice(options.id, options.table.programs.playback)
  }

  /** Why a connection cannot be adopted; undefined when it can. */
  unfit({ snapshot }: Offer): BatonError | undefined {
    const why =
      snapshot.send.queue.length > 0
        ? 'bytes to the client are not acknowledged'
        : snapshot.mss < MIN_MSS[isIpv4Flow(snapshot.flow) ? 'ipv4' : 'ipv6']
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
  adopt(giver: { readonly id: string; readonly epoch: number }, { id, snapshot, context }: Offer): void {
    const { table } = this.#options
    const { flow, receive, mss } = snapshot
    if (table.has(flow)) throw inUse()
    const notes = { id, frontendId: giver.id, giverEpoch: giver.epoch, context }
    const { address, port } = this.#listener
    const own = isIpv4Flow(flow) === this.#isIpv4
    // A flow of the other family is looked up by the VIP.
    const at = own ? address : flow.subarray(16, 32)
    const unread = unreadOf(snapshot)
    const frame = this.#room(mss)
    const length = writeSegment(frame, segmentAt(unread, 0, mss))
    const expected = { notes, snapshot, address: at, port, clock: clockOf(snapshot) }
    for (let attempt = 1; ; attempt++) {
      table.expect(flow, expected)
      const taken = this.#device.playFirst(frame, length, table.programs.looks)
      const birth = table.birthOf(flow)
      if (birth?.state === 'born') {
        table.born(flow, notes)
        if (taken !== undefined && taken < receive.queue.length) this.#playRest(flow, unread)
        return
      }
      table.forget(flow)
      if (birth?.failure !== failures.timeWait || attempt > 1) throw refusal(birth)
      takeOverTimeWait(snapshot)
    }
  }

  /** Resolves when every byte that is to be played in has been taken. */
  played(): Promise<void> {
    if (this.#players.size === 0) return Promise.resolve()
    return new Promise((resolve) => {
      this.#onPlayed = resolve
    })
  }

  /** Adopted connections go on without this process; those that lack bytes are reset. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    for (const [player, flow] of [...this.#players]) {
      player.stop()
      if (player.isMissing()) resetConnection(flow, this.#options.logger)
    }
    this.#device.close()
  }

  #playRest(flow: FlowKey, unread: Unread): void {
    const player = new Player(unread, this.#device, this.#options.table.programs, () => {
      this.#players.delete(player)
      if (this.#players.size === 0) this.#onPlayed?.()
    })
    this.#players.set(player, flow)
    player.play()
  }

  /** For a segment of that size. */
  #room(mss: number): Buffer {
    if (this.#frame.length < HEADER_BYTES + mss) this.#frame = Buffer.alloc(HEADER_BYTES + mss)
    return this.#frame
  }
}

function clockOf({ options: { timestamps } }: Snapshot): number {
  const lead = TIMESTAMP_LEAD_MS * (timestamps?.microseconds ? 1000 : 1)
  return ((timestamps?.value ?? 0) + lead) >>> 0
}

/**
 * The client uses a port again whose last connection this host still holds in TIME_WAIT. Its SYN would have ended that,
 * had it come here; a socket that takes the same addresses in repair mode does, and goes silently.
 */
function takeOverTimeWait(snapshot: Snapshot): void {
  try {
    discard(restore(snapshot, { finish: 'frozen' }))
  } catch {
    throw inUse()
  }
}

const cookiesOff = () => new BatonError('BATON_ADOPT_UNAVAILABLE', { detail: 'net.ipv4.tcp_syncookies is 0' })

const inUse = () =>
  new BatonError('BATON_ADOPT_REFUSED', { detail: 'a socket of this very connection is here already' })

function refusal(birth: Birth | undefined): BatonError {
  if (birth?.state === 'tried') return new BatonError('BATON_ADOPT_QUEUE_FULL')
  const failure = birth?.failure ?? failures.none
  switch (failure) {
    case failures.noListener:
      return new BatonError('BATON_ADOPT_NO_LISTENER')
    case failures.noCookies:
      return cookiesOff()
    case failures.full:
      return new BatonError('BATON_ADOPT_REFUSED', { detail: 'the table of adopted connections is full' })
    case failures.inUse:
    case failures.timeWait:
      return inUse()
    case failures.invalid:
      return new BatonError('BATON_ADOPT_REFUSED', { errno: failures.invalid, detail: invalidDetail() })
    case failures.none:
      return new BatonError('BATON_ADOPT_REFUSED', { detail: 'the segment did not get through' })
    default:
      return new BatonError('BATON_ADOPT_REFUSED', { errno: failure })
  }
}

/** What the kernel may mean by EINVAL. */
function invalidDetail(): string {
  const off = ['tcp_window_scaling', 'tcp_sack', 'tcp_timestamps'].filter((name) => {
    const path = `/proc/sys/net/ipv4/${name}`
    return existsSync(path) && readFileSync(path, 'utf8').trim() === '0'
  })
  return off.length === 0
    ? 'the program listens with MPTCP'
    : `the client negotiated what is off here: ${off.map((name) => `net.ipv4.${name}`).join(', ')}`
}
