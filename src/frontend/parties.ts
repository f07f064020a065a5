import { clientText, type FlowKey, vipText } from '../kernel/flow.js'

/** Whom a connection is between, as the access log says it: ADDRESS:PORT each. */
export interface Parties {
  /** As the balancer in front says, where there is one. */
  readonly client: string
  /** That balancer; null without one. */
  readonly via: string | null
  readonly vip: string
}

/** @param claimed the client and its destination as a balancer in front says them; null without one */
export function partiesOf(flow: FlowKey, claimed: FlowKey | null): Parties {
  const peer = clientText(flow)
  const vip = vipText(flow)
  return claimed === null ? { client: peer, via: null, vip } : { client: clientText(claimed), via: peer, vip }
}
