import type { AgentLink, Channel } from '../handoff/index.js'
import type { Endpoint } from '../kernel/flow.js'
import type { BackendRecord } from '../registry/index.js'

/** One backend as this frontend sees it now: what the registry says of it, and the channel to its agent. */
export class Backend {
  readonly id: string
  record: BackendRecord
  /** Dials for as long as the backend has an agent; undefined for one that can only be relayed to. */
  link: AgentLink | undefined
  /** Up, or undefined. */
  channel: Channel | undefined
  /** From the agent's last CAPACITY or HELLO. */
  capacity = 0
  /** From the last CAPACITY, and what ADOPTED and CLOSED have said since: a burst must not all go to who was idle before it. */
  active = 0
  accepting = false
  /** The registry has it no more; it stays for the connections that its agent still has. */
  leaving = false
  /** Offers without an answer yet. */
  inFlight = 0
  /** Connections that this frontend relays to it. */
  relayed = 0
  /** Epoch of the agent's process that we last spoke to. */
  epoch: number | undefined
  /** It knows of what processes before it took from that epoch on; undefined: of nothing. */
  knownSince: number | undefined
  /** The next hops of its host, kept over a lost channel: the flows are steered there all the same. */
  steerTo: { ipv4: string | null; ipv6: string | null } = { ipv4: null, ipv6: null }

  constructor(record: BackendRecord) {
    this.id = record.id
    this.record = record
  }

  get weight(): number {
    return this.record.weight
  }

  /** Connections that it serves or is about to, as far as this frontend knows. */
  get load(): number {
    return Math.max(this.active, this.record.active) + this.inFlight + this.relayed
  }

  get relayAddress(): Endpoint | null {
    return this.record.address
  }

  /** Why a connection cannot be handed to it now, or undefined when it can. */
  get unavailable(): 'no_agent' | 'agent_down' | 'agent_draining' | 'agent_full' | undefined {
    if (this.record.agent === null) return 'no_agent'
    if (this.channel === undefined) return 'agent_down'
    if (this.leaving || this.record.draining || !this.accepting) return 'agent_draining'
    if (this.inFlight >= this.capacity || !this.channel.writable) return 'agent_full'
    return undefined
  }

  /** Whether its agent, as we last spoke to it, knows of the connections that a process of that epoch took. */
  knowsOf(epoch: number): boolean {
    return this.epoch === epoch || (this.knownSince !== undefined && this.knownSince <= epoch)
  }

  /** Whether its agent takes connections that speak anything but HTTP. */
  get takesBytes(): boolean {
    return this.channel?.peer.features.includes('bytes') ?? false
  }

  /** The next hop for a flow of that family on the backend's segment; null when its host has none. */
  nextHop(ipv4Flow: boolean): string | null {
    return ipv4Flow ? (this.steerTo.ipv4 ?? this.steerTo.ipv6) : this.steerTo.ipv6
  }
}
