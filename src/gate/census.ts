import type { ErrorCode } from '../errors/index.js'
import type { FlowKey } from '../kernel/flow.js'

/**
 * Counts connections from accept until they are released, in all and per client. A client is an IPv4 address or the
 * /64 of an IPv6 address, since whoever has one address of a /64 has them all.
 */
export class Census {
  readonly #max: number
  readonly #maxPerClient: number
  readonly #clients = new Map<string, number>()
  #total = 0

  /** 0 is no limit; without a limit per client no client is remembered. */
  constructor(max: number, maxPerClient: number) {
    this.#max = max
    this.#maxPerClient = maxPerClient
  }

  get total(): number {
    return this.#total
  }

  /** Clients remembered. */
  get clients(): number {
    return this.#clients.size
  }

  /** Counts a connection, or names the limit that it meets and does not count it. */
  admit(flow: FlowKey): ErrorCode | undefined {
    if (this.#max > 0 && this.#total >= this.#max) return 'BATON_GATE_FULL'
    if (this.#maxPerClient > 0) {
      const client = clientOf(flow)
      const count = this.#clients.get(client) ?? 0
      if (count >= this.#maxPerClient) return 'BATON_GATE_CLIENT_FULL'
      this.#clients.set(client, count + 1)
    }
    this.#total++
    return undefined
  }

  release(flow: FlowKey): void {
    if (this.#total > 0) this.#total--
    if (this.#maxPerClient === 0) return
    const client = clientOf(flow)
    const count = this.#clients.get(client) ?? 0
    if (count > 1) this.#clients.set(client, count - 1)
    else this.#clients.delete(client)
  }
}

function clientOf(flow: FlowKey): string {
  const mapped = flow[10] === 0xff && flow[11] === 0xff && flow.readUInt32BE(0) === 0
  return mapped ? flow.toString('latin1', 12, 16) : flow.toString('latin1', 0, 8)
}
