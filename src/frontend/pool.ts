import type { ProxyVersion } from '../proxy-protocol/index.js'
import type { Backend } from './backend.js'
import { type Balance, createBalancer } from './balance.js'
import type { Balancer } from './balancer.js'

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

/** What a connection asks of its backend. */
interface Need {
  readonly ipv4Flow: boolean
  readonly speaks: 'http' | 'bytes'
}

/** Which backends could take a connection, when somebody last looked at all of them. */
interface Look {
  readonly usable: readonly Backend[]
  /** Those with an agent that could not. */
  readonly others: readonly Backend[]
  /** Why they could not. */
  readonly reason: RelayReason
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
  #relayable: readonly Backend[] = []
  /** By {@link indexOf} what was needed. */
  #looks: (Look | undefined)[] = []

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

  /** To be set anew whenever the record of one of them is another. */
  set backends(backends: readonly Backend[]) {
    this.#backends = backends
    this.#looks = []
    const reachable = backends.filter((backend) => backend.relayAddress !== null)
    const steady = reachable.filter((backend) => !backend.record.draining)
    this.#relayable = steady.length > 0 ? steady : reachable
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
    const need = { ipv4Flow, speaks }
    if (tried.length === 0) return this.#choose(need)
    const { usable } = lookAt(
      this.#backends.filter((backend) => !tried.includes(backend)),
      need,
    )
    return usable.length > 0 ? this.#forHandoff(usable) : 'refused'
  }

  /**
   * Looks at the one that is chosen, and at those that could not be before: a hundred that are well cost what one does.
   * One that cannot be any more loses the turn at which that is found.
   */
  #choose(need: Need): Backend | RelayReason {
    const known = this.#looks[indexOf(need)]
    const isNew =
      known === undefined || known.usable.length === 0 || known.others.some((one) => canTake(one, need))
    const look = isNew ? this.#look(need) : known
    if (look.usable.length === 0) return look.reason
    const choice = this.#forHandoff(look.usable)
    if (isNew || canTake(choice, need)) return choice
    const { usable, reason } = this.#look(need)
    return usable.length > 0 ? this.#forHandoff(usable) : reason
  }

  #look(need: Need): Look {
    const look = lookAt(this.#backends, need)
    this.#looks[indexOf(need)] = look
    return look
  }

  /** Whether anything can be relayed. Takes no turn of the balancer. */
  get canRelay(): boolean {
    return this.#relayable.length > 0
  }

  /**
   * Backends with an address for one relayed request, at most {@link MAX_RELAY_TRIES}: the balancer's choice, then those
   * to try when it fails. One turn of the balancer, or the shares would not be those of the weights.
   */
  chooseForRelay(): readonly Backend[] {
    const candidates = this.#relayable
    if (candidates.length === 0) return []
    const first = this.#forRelay(candidates)
    const at = candidates.indexOf(first)
    // The others from there on, so that those of one that failed do not all fall on the same next one.
    return Array.from(
      { length: Math.min(MAX_RELAY_TRIES, candidates.length) },
      (_, step) => candidates[(at + step) % candidates.length] as Backend,
    )
  }
}

function lookAt(backends: readonly Backend[], need: Need): Look {
  let reason: RelayReason = 'no_agent'
  const usable: Backend[] = []
  const others: Backend[] = []
  for (const backend of backends) {
    const why = whyNot(backend, need)
    if (why === undefined) usable.push(backend)
    else if (why !== 'no_agent') {
      // The reason of an agent that is there says more than that of a backend without one.
      reason = why
      others.push(backend)
    }
  }
  return { usable, others, reason }
}

const indexOf = ({ ipv4Flow, speaks }: Need): number => (ipv4Flow ? 2 : 0) + (speaks === 'bytes' ? 1 : 0)

const canTake = (backend: Backend, need: Need): boolean => whyNot(backend, need) === undefined

function whyNot(backend: Backend, { ipv4Flow, speaks }: Need): RelayReason | undefined {
  const why = backend.unavailable
  if (why !== undefined) return why
  if (backend.nextHop(ipv4Flow) === null) return 'no_next_hop'
  return speaks === 'bytes' && !backend.takesBytes ? 'agent_parses_http' : undefined
}
