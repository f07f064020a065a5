import type { Claim, Claimed, Closed } from '../handoff/index.js'
import type { FlowKey } from '../kernel/flow.js'
import type { HttpSession } from './http-session.js'
import type { Served } from './served.js'

export interface ClaimsOptions {
  /** The connection that is served for that flow now. */
  find(
    flow: FlowKey,
  ): (Pick<Served, 'id' | 'frontendId'> & { session: Pick<HttpSession, 'state'> | undefined }) | undefined
  tell(frontendId: string, record: Closed): void
}

const nothing = Buffer.alloc(0)

/**
 * Answers a frontend that got the packets of a connection which another one handed over (docs/decisions/0007). With
 * `yours` the connection has a new frontend, and the one before forgets the flow: at any time one frontend steers it,
 * and that one is told.
 */
export function answerClaim(claim: Claim, claimantId: string, options: ClaimsOptions): Claimed {
  const { id, flow } = claim
  const served = options.find(flow)
  if (served === undefined || served.id !== id) return { type: 'claimed', id, flow, answer: 'none' }
  const state = served.session?.state
  // Between PARK and its outcome another frontend has a part in it, and may own it the next moment.
  if (state === 'moving' || state === 'frozen') return { type: 'claimed', id, flow, answer: 'later' }
  if (served.frontendId !== claimantId) {
    options.tell(served.frontendId, {
      type: 'closed',
      id,
      flow,
      bytesIn: 0,
      bytesOut: 0,
      durationMs: 0,
      cause: 'claimed',
      requests: 0,
      status: 0,
      context: nothing,
    })
    served.frontendId = claimantId
  }
  return { type: 'claimed', id, flow, answer: 'yours' }
}
