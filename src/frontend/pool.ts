import type { ProxyVersion } from '../proxy-protocol/index.js'
import type { Backend } from './backend.js'
import { type Balance, type Balancer, createBalancer } from './balance.js'

/** Backends that are tried for one relayed request. */
const MAX_RELAY_TRIES = 3

/** Why a connection is relayed instead of handed over; the label of baton_relayed_total. */
export type RelayReason =
  | 'pool_policy'
  | 'no_agent'
  | 'agent_down'
  | 'agent_draining'
  | 'agent_full'
  | 'no_next_hop'
  | 'agent_parses_http'
  | 'half_closed'
  | 'freeze_failed'
  | 'steering_failed'
  | 'refused'
  | 'return_unroutable'
  | 'stopping'

export interface PoolOptions {
  readonly handoff: 'auto' | 'never'
  readonly balance: Balance
  /** Default off. */
  readonly proxyProtocol?: ProxyVersion | 'off'
}

/** A pool's backends and the balancer that chooses among those that can take a connection now. */
export class Pool {
  readonly name: string
  readonly handoff: 'auto' | 'never'
  /** What relayed connections to its backends begin with. */
  readonly proxyProtocol: ProxyVersion | 'off'
  readonly #forHandoff: Balancer
  readonly #forRelay: Balancer
  #backends: readonly Backend[] = []

  constructor(name: string, options: PoolOptions) {
    this.name = name
    this.handoff = options.handoff
    this.proxyProtocol = options.proxyProtocol ?? 'off'
    this.#forHandoff = createBalancer(options.balance)
    this.#forRelay = createBalancer(options.balance)
  }

  get backends(): readonly Backend[] {
    return this.#backends
  }

  set backends(backends: readonly Backend[]) {
    this.#backends = backends
  }

  /**
   * The backend to hand a flow to, leaving out those tried already; or why there is none.
   * @param speaks whether the agent may parse what comes as HTTP
   */
  chooseForHandoff(
    ipv4Flow: boolean,
    tried: readonly Backend[],
    speaks: 'http' | 'bytes' = 'http',
  ): Backend | RelayReason {
    if (this.handoff === 'never') return 'pool_policy'
    let reason: RelayReason = 'no_agent'
    const usable = this.#backends.filter((backend) => {
      if (tried.includes(backend)) return false
      const why = backend.unavailable ?? unfit(backend, ipv4Flow, speaks)
      // The reason of an agent that is there says more than that of a backend without one.
      if (why !== undefined && (reason === 'no_agent' || why !== 'no_agent')) reason = why
      return why === undefined
    })
    if (usable.length > 0) return this.#forHandoff(usable)
    return tried.length > 0 ? 'refused' : reason
  }

  /** Whether anything can be relayed. Takes no turn of the balancer. */
  get canRelay(): boolean {
    return this.#backends.some((backend) => backend.relayAddress !== null)
  }

  /**
   * Backends with an address for one relayed request, at most {@link MAX_RELAY_TRIES}: the balancer's choice, then those
   * to try when it fails. One turn of the balancer, or the shares would not be those of the weights.
   */
  chooseForRelay(): readonly Backend[] {
    const usable = this.#backends.filter((backend) => backend.relayAddress !== null)
    const steady = usable.filter((backend) => !backend.record.draining)
    const candidates = steady.length > 0 ? steady : usable
    if (candidates.length === 0) return []
    const first = this.#forRelay(candidates)
    const at = candidates.indexOf(first)
    // The others from there on, so that those of one that failed do not all fall on the same next one.
    return [...candidates.slice(at), ...candidates.slice(0, at)].slice(0, MAX_RELAY_TRIES)
  }
}

function unfit(backend: Backend, ipv4Flow: boolean, speaks: 'http' | 'bytes'): RelayReason | undefined {
  if (backend.nextHop(ipv4Flow) === null) return 'no_next_hop'
  return speaks === 'bytes' && !backend.takesBytes ? 'agent_parses_http' : undefined
}
