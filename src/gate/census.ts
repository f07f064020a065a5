import type { ErrorCode } from '../errors/index.js'
import { type FlowKey, flowId } from '../kernel/flow.js'

/**
 * Counts connections from accept until they are released, in all and per client. A client is an IPv4 address or the
 * /64 of an IPv6 address, since whoever has one address of a /64 has them all.
 */
export class Census {
  readonly #max: number
  readonly #maxPerClient: number
  readonly #clients = new Map<string, number>()
  /** Connections of balancers, with the clients that were named for them; null before that. */
  readonly #named = new Map<string, string | null>()
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
    if (this.#maxPerClient > 0 && !this.#admitClient(clientOf(flow))) return 'BATON_GATE_CLIENT_FULL'
    this.#total++
    return undefined
  }

  /** The same for a connection whose client a balancer has yet to name. */
  admitUnnamed(flow: FlowKey): ErrorCode | undefined {
    if (this.#max > 0 && this.#total >= this.#max) return 'BATON_GATE_FULL'
    if (this.#maxPerClient > 0) this.#named.set(flowId(flow), null)
    this.#total++
    return undefined
  }

  /** Counts it for its client, or names the limit that it meets. @param claimed begins with the client's address */
  name(flow: FlowKey, claimed: FlowKey): ErrorCode | undefined {
    if (this.#maxPerClient === 0) return undefined
    const client = clientOf(claimed)
    if (!this.#admitClient(client)) return 'BATON_GATE_CLIENT_FULL'
    this.#named.set(flowId(flow), client)
    return undefined
  }

  #admitClient(client: string): boolean {
    const count = this.#clients.get(client) ?? 0
    if (count >= this.#maxPerClient) return false
    this.#clients.set(client, count + 1)
    return true
  }

  release(flow: FlowKey): void {
    if (this.#total > 0) this.#total--
    if (this.#maxPerClient === 0) return
    const client = this.#clientBehind(flow)
    if (client === null) return
    const count = this.#clients.get(client) ?? 0
    if (count > 1) this.#clients.set(client, count - 1)
    else this.#clients.delete(client)
  }

  #clientBehind(flow: FlowKey): string | null {
    if (this.#named.size === 0) return clientOf(flow)
    const id = flowId(flow)
    const client = this.#named.get(id)
    this.#named.delete(id)
    return client === undefined ? clientOf(flow) : client
  }
}

function clientOf(flow: FlowKey): string {
  const mapped = flow[10] === 0xff && flow[11] === 0xff && flow.readUInt32BE(0) === 0
  return mapped ? flow.toString('latin1', 12, 16) : flow.toString('latin1', 0, 8)
}
