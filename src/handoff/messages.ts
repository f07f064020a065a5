import type { FlowKey } from '../kernel/flow.js'
import type { Snapshot } from '../repair/index.js'

/**
 * What crosses the control channel, as values. The bytes are in docs/wire-format.md and frames.ts.
 *
 * An OFFER may go both ways: a frontend offers a connection to an agent, and an agent gives one back when its next
 * request belongs elsewhere. Giver and taker play the same parts either way.
 */

/**
 * Number of a handoff: 21 bits chosen at random when the giver's process starts, then a 32-bit counter; so no giver
 * uses one twice, and it stays below 2^53.
 */
export type HandoffId = number

/** First frame each way; nothing else may come before it. */
export interface Hello {
  readonly type: 'hello'
  /** Protocol versions this side speaks; the highest common one is used. */
  readonly minVersion: number
  readonly maxVersion: number
  readonly role: 'frontend' | 'agent'
  /** The configured id of the frontend or agent: at most 64 bytes of [A-Za-z0-9._-]. */
  readonly id: string
  /** Changes with every start of the process: below 2^53. */
  readonly epoch: number
  /** Next hops by which the sender's host takes steered packets on its own segment; empty on a frontend. */
  readonly steerTo: { readonly ipv4: string | null; readonly ipv6: string | null }
  /** Pools that an agent serves; empty on a frontend. */
  readonly pools: readonly string[]
  /** Offers in flight that the sender takes at once. 0 means: none now. */
  readonly capacity: number
  /** uname -r, for the other side's log. */
  readonly kernel: string
  /**
   * Named abilities: an agent's kind of delivery, for example "inline" or "http"; "bytes" when it takes connections that
   * speak anything but HTTP; and "since:EPOCH" (features.ts).
   */
  readonly features: readonly string[]
}

export interface Ping {
  readonly type: 'ping'
  readonly nonce: number
}
export interface Pong {
  readonly type: 'pong'
  readonly nonce: number
}

/** Back-pressure: sent when it changes. */
export interface Capacity {
  readonly type: 'capacity'
  readonly capacity: number
  /** Connections that the sender serves now. */
  readonly active: number
  /** False while draining: nothing new, please. */
  readonly accepting: boolean
}

/** The frontend's routes, so that an agent can judge the next request of a kept-alive connection. */
export interface Routes {
  readonly type: 'routes'
  readonly version: number
  /** RoutesDocument (src/routing) as JSON; at most 1 MiB. */
  readonly json: string
}

export interface Offer {
  readonly type: 'offer'
  readonly id: HandoffId
  /** How long the giver waits for an answer before it asks, in ms. A taker that got to it later refuses. */
  readonly budgetMs: number
  readonly listener: string
  readonly pool: string
  /**
   * Who a balancer in front of the frontend says the client is, and where it connected to (PROXY protocol), laid out like
   * a flow; ports may be 0. Null where the connection's own addresses count.
   */
  readonly claimed: FlowKey | null
  readonly snapshot: Snapshot
  /** The giver's own notes for the access log; comes back in CLOSED unread. At most 4 KiB. */
  readonly context: Buffer
}

/** The taker owns the connection. */
export interface Adopted {
  readonly type: 'adopted'
  readonly id: HandoffId
}

/** Nothing has left the restored socket, and it is gone: the giver owns the connection again. */
export interface Refused {
  readonly type: 'refused'
  readonly id: HandoffId
  readonly code: string
  readonly message: string
}

/** After a lost channel or a passed deadline: what became of it? Also refuses an offer not seen yet, for ever. */
export interface Ask {
  readonly type: 'ask'
  readonly id: HandoffId
  /** Epoch of the process that offered; 0 when a successor asks for its predecessor, whichever that was. */
  readonly giverEpoch: number
  /** Epoch of the process to which the OFFER went, so that a successor does not answer as if it had been asked; 0: not known. */
  readonly takerEpoch: number
  /** How long ago the OFFER was handed to the channel, in ms: a taker that forgot that time says so. 2^32 − 1: not known. */
  readonly ageMs: number
}

export interface Outcome {
  readonly type: 'outcome'
  readonly id: HandoffId
  /**
   * `refused`: the taker never owned it and never will. `ended`: adopted, and over. `pending`: still restoring, ask
   * again. `unknown`: the taker cannot know (another process took the OFFER and left no journal), and never restores it.
   */
  readonly outcome: 'adopted' | 'refused' | 'ended' | 'pending' | 'unknown'
}

/** An agent is about to give a connection back: park its packets first. */
export interface Park {
  readonly type: 'park'
  readonly id: HandoffId
  readonly flow: FlowKey
}
export interface Parked {
  readonly type: 'parked'
  readonly id: HandoffId
  /** False: the flow is not this frontend's to park; serve the request where it is. */
  readonly ok: boolean
}
/** The agent thought better of it after PARK: steer to it again. */
export interface Unpark {
  readonly type: 'unpark'
  readonly id: HandoffId
  readonly flow: FlowKey
}

/** A frontend has got packets of a connection that another one handed over, and asks whether it may steer them. */
export interface Claim {
  readonly type: 'claim'
  /** Of the handoff by which the agent got it. */
  readonly id: HandoffId
  readonly flow: FlowKey
}
export interface Claimed {
  readonly type: 'claimed'
  readonly id: HandoffId
  readonly flow: FlowKey
  /**
   * `yours`: the agent has it, and deals with the claimant about it from now on. `later`: it is on its way to another
   * frontend just now. `none`: no such connection is here.
   */
  readonly answer: 'yours' | 'later' | 'none'
}

/**
 * `moved`: it lives on elsewhere. `claimed`: it lives on here, and another frontend steers it; that one gets the record
 * of its end, and this one forgets the flow.
 */
export type CloseCause = 'client' | 'backend' | 'error' | 'timeout' | 'drain' | 'moved' | 'claimed'

/** The end of an adopted connection, or of this frontend's part in it. */
export interface Closed {
  readonly type: 'closed'
  readonly id: HandoffId
  readonly flow: FlowKey
  /** Bytes from the client and to the client while the taker owned it. */
  readonly bytesIn: number
  readonly bytesOut: number
  readonly durationMs: number
  readonly cause: CloseCause
  /** Requests answered here, and the last status; 0 where unknown. */
  readonly requests: number
  readonly status: number
  readonly context: Buffer
}

export type Message =
  | Hello
  | Ping
  | Pong
  | Capacity
  | Routes
  | Offer
  | Adopted
  | Refused
  | Ask
  | Outcome
  | Park
  | Parked
  | Unpark
  | Claim
  | Claimed
  | Closed
