import { join } from 'node:path'
import { linkInfo } from '../../src/kernel/attach.js'
import { BpfMap, pinnedObject, programInfo, programOfId } from '../../src/kernel/bpf.js'
import { flowKey } from '../../src/kernel/flow.js'
import { closeFd } from '../../src/kernel/host.js'
import { FlowTable } from '../../src/steering/table.js'
import type { SteerEntry } from '../../src/steering/types.js'

const BATCH = 8192
const FIRST_PORT = 1024
const PORTS = 60_000

function opened(path: string): number {
  const fd = pinnedObject(path)
  if (fd === undefined) throw new Error(`nothing is pinned at ${path}`)
  return fd
}

/**
 * Flows of clients that are not there, steered in a running frontend's table: written past the frontend by its own batch
 * update, through the map that it pinned.
 */
export class Filling {
  readonly #map: BpfMap
  readonly #table: FlowTable
  readonly #program: number
  readonly #vip: string
  readonly #hops: readonly string[]
  #filled = 0

  constructor(pinPath: string, vip: string, hops: readonly string[]) {
    this.#map = new BpfMap(opened(join(pinPath, 'flows')))
    this.#table = new FlowTable(this.#map)
    const link = opened(join(pinPath, 'link'))
    const program = programOfId(linkInfo(link).programId)
    closeFd(link)
    if (program === undefined) throw new Error(`no program hangs on ${pinPath}`)
    this.#program = program
    this.#vip = vip
    this.#hops = hops
  }

  /** Makes it so many; returns µs for each flow that was written or removed. */
  set(flows: number): number {
    const before = this.#filled
    const startedAtMs = performance.now()
    for (; this.#filled < flows; this.#filled += BATCH)
      this.#table.put('steer', this.#batch(this.#filled, flows))
    for (; this.#filled > flows; this.#filled -= BATCH) {
      const from = Math.max(flows, this.#filled - BATCH)
      this.#table.remove(this.#batch(from, this.#filled).map(({ key }) => key))
    }
    this.#filled = flows
    return ((performance.now() - startedAtMs) * 1000) / Math.max(1, Math.abs(flows - before))
  }

  #batch(from: number, limit: number): SteerEntry[] {
    const count = Math.min(BATCH, limit - from)
    return Array.from({ length: count }, (_, offset) => this.#flow(from + offset))
  }

  /** 198.18.0.0/15 is for benchmarks (RFC 2544). Ids of handoffs that never were: beyond those of any process. */
  #flow(index: number): SteerEntry {
    const host = Math.floor(index / PORTS)
    const client = { address: `198.18.${host >> 8}.${host & 255}`, port: FIRST_PORT + (index % PORTS) }
    const key = flowKey({ client, vip: { address: this.#vip, port: 80 } })
    return { key, id: Number.MAX_SAFE_INTEGER - index, nextHop: this.#hops[index % this.#hops.length]! }
  }

  /** Runs of the steering program and their time; counted only while kernel.bpf_stats_enabled is 1. */
  program(): { readonly runs: number; readonly ns: number } {
    const { runCount, runTimeNs } = programInfo(this.#program)
    return { runs: runCount, ns: runTimeNs }
  }

  close(): void {
    closeFd(this.#map.fd)
    closeFd(this.#program)
  }
}
