import type { Endpoint, FlowKey } from '../kernel/flow.js'

/**
 * What happens to a flow's packets: `park` they wait in the process, until the first of them proves that the flow has
 * arrived at its next hop (docs/decisions/0016) · `steer` they go to the next hop · `linger` the
 * same, but the connection is over and a SYN starts a new one here · `pass` they go to the local stack.
 */
export type FlowState = 'park' | 'steer' | 'linger' | 'pass'

/** Since the entry was last written by park() or steer(), or opened by a proof, which steer() then leaves as it is. */
export interface FlowCounters {
  /** Steered packets; the segments of a merged one count each. */
  readonly packets: number
  /** Their frames' bytes, Ethernet header included. */
  readonly bytes: number
  /** CLOCK_MONOTONIC (as performance.now() plus the start of the process) of the last packet; 0: none yet. */
  readonly lastSeenMs: number
}

export interface FlowEntry extends FlowCounters {
  readonly state: FlowState
  /** The handoff's. */
  readonly id: number
  /** Textual address; null: none known. */
  readonly nextHop: string | null
}

export interface ParkEntry {
  readonly key: FlowKey
  readonly id: number
  /** Where the flow is going, kept for a successor of this process; null: not known. */
  readonly nextHop: string | null
}

export interface SteerEntry {
  readonly key: FlowKey
  readonly id: number
  /** On the interface's own segment. IPv6 for an IPv6 flow; either for IPv4. */
  readonly nextHop: string
}

/** A connection that is over, by its flow and its handoff. */
export interface EndedFlow {
  readonly key: FlowKey
  readonly id: number
}

/** A steered flow of which no packet came for a while. */
export interface IdleFlow extends SteerEntry {
  /** Since its last packet; Infinity: none came since the entry was written. */
  readonly idleMs: number
}

/** `lingers` from now on · `lingered` already, or named before in the same call · `other`: its entry is gone, or another's. */
export type LingerVerdict = 'lingers' | 'lingered' | 'other'

export interface SteeringStats {
  /** Entries of the table, in any state. */
  readonly flows: number
  readonly maxFlows: number
  /** Entries that linger; the others are live. */
  readonly lingering: number
  /** Frames that are kept now. */
  readonly parkedFrames: number
  readonly parkedBytes: number
  /** Frames over the limits, thrown away, since the start of the process; those of drop() are not counted. */
  readonly parkedDropped: number
  /** Frames played back since the start of the process. */
  readonly playedFrames: number
  /** The following count since the table was made, over restarts. */
  readonly steeredPackets: number
  readonly steeredBytes: number
  readonly parkedPackets: number
  /** Of the steered packets, ICMP errors about a flow. */
  readonly icmpErrors: number
  /** Lingering entries that a SYN ended. */
  readonly lingerSyns: number
  /** Segments of flows that nobody knew here, and that the process was asked about. */
  readonly unknownPackets: number
  /** Those that were too many in a second, and were dropped. */
  readonly unknownDropped: number
  /** Parked flows that went on before steer(): their clients acknowledged what the socket here never sent. */
  readonly provenFlows: number
}

/** The part of a logger that is used: pino fits. */
export interface SteeringLogger {
  info(details: object, message: string): void
  warn(details: object, message: string): void
  error(details: object, message: string): void
}

export interface SteeringOptions {
  /** Directory on bpffs under which maps and link are pinned; made if missing. One process at a time. */
  readonly pinPath: string
  /** The interface at whose ingress the VIP's packets come in, and on whose segment the next hops are. */
  readonly interface: string
  /** Default `auto`: TCX (Linux 6.6), else the clsact qdisc. */
  readonly attach?: 'auto' | 'tcx' | 'clsact'
  /** Default 1,048,576. A table that holds flows keeps its size over a restart. */
  readonly maxFlows?: number
  /** How long a flow is still steered after linger(). Default 60,000. */
  readonly lingerMs?: number
  readonly limits?: ParkingLimits
  /**
   * What becomes of a segment in mid-stream that comes to one of `listeners`, and whose flow is neither in the table nor
   * a socket of this host: `pass` (default) lets the kernel answer with RST; `park` keeps it here and calls `onUnknown`.
   */
  readonly unknown?: 'pass' | 'park'
  /** The addresses and ports to which `unknown` applies; 0.0.0.0 and :: stand for every address of their family. */
  readonly listeners?: readonly Endpoint[]
  /**
   * A flow that another host may know. Answer with steer(), or with unpark() (also a SYN cookie's ACK comes by here), or
   * drop(). Called once for each flow; after five seconds without an answer its frames are dropped, and it may be called
   * again. Synchronous answers are fine.
   */
  readonly onUnknown?: (key: FlowKey) => void
  readonly logger?: SteeringLogger
}

/** What parked frames may take in memory; what is over is dropped and counted, and the client sends it again. */
export interface ParkingLimits {
  /** Default 1 MiB. */
  readonly flowBytes?: number
  /** Default 64 MiB. */
  readonly totalBytes?: number
}

/**
 * The flow table of one interface. Every method is synchronous and @throws BatonError `BATON_STEERING_CLOSED` after
 * close() or detach(), `BATON_STEERING_TABLE` when the kernel refuses.
 */
export interface Steering {
  /** How the program hangs at the interface. */
  readonly attached: 'tcx' | 'clsact'
  /** Entries that a previous process left parked: ask their agents, then steer(), unpark() or drop() them. */
  readonly leftParked: readonly ParkEntry[]
  /**
   * From the next packet on, the flows' packets wait in this process. @throws BatonError `BATON_STEERING_FULL`: then none
   * of them has an entry · `BATON_STEERING_NEXT_HOP`: nothing was done
   */
  park(entries: readonly ParkEntry[]): void
  /** Sends the flows to their next hops; what was parked goes first … in the order of its arrival. @throws as park() */
  steer(entries: readonly SteerEntry[]): void
  /** Gives the flows back to the local stack, with what was parked. */
  unpark(keys: readonly FlowKey[]): void
  /** The connections are over: steered for `lingerMs` more. @returns what was counted, zeros for an unknown flow */
  linger(keys: readonly FlowKey[]): FlowCounters[]
  /**
   * The same for flows that may have become another connection's in the meantime, or linger already: those are left as
   * they are. One look at the table, and no counters: for the end of every connection. @returns one verdict an entry
   */
  lingerOf(entries: readonly EndedFlow[]): readonly LingerVerdict[]
  /** Lets all flows linger that are steered to a next hop. @returns how many. Reads the whole table */
  lingerAll(nextHop: string): number
  /**
   * The steered flows of which no packet came for `idleMs`, in slices of a millisecond's work, some of them empty. Flows
   * that come or go while it is read may be met or not.
   */
  idle(idleMs: number): Iterable<readonly IdleFlow[]>
  /** Forgets the flows, with what was parked. */
  drop(keys: readonly FlowKey[]): void
  /** Other listeners from now on. @throws BatonError `BATON_STEERING_FULL` for more than 1024 */
  setListeners(listeners: readonly Endpoint[]): void
  get(key: FlowKey): FlowEntry | undefined
  /** Reads the whole table when called; the result is a copy. */
  entries(): Iterable<[FlowKey, FlowEntry]>
  stats(): SteeringStats
  /** Lets go: program and table stay as they are and go on without a process. Idempotent. */
  close(): void
  /** Removes program, table, pins and TAP. In the network namespace of the interface. Idempotent. */
  detach(): void
}
