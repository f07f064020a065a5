import { native } from './native.js'

/** Where things stand in a record, from gate.h: indexes of 32-bit words, save `flowBytes`, which counts bytes. */
export interface GateLayout {
  readonly recordWords: number
  readonly event: number
  readonly fd: number
  readonly tag: number
  readonly offset: number
  readonly length: number
  readonly flags: number
  readonly queued: number
  readonly flowBytes: number
  /** Values of `event`. */
  readonly accepted: number
  readonly readable: number
  readonly acceptFailed: number
  /** Bits of `flags`. */
  readonly halfClosed: number
  readonly hungUp: number
}

/** The native gate; only the calls below know what is inside. */
export type GateHandle = { readonly gate: unique symbol }

/**
 * The kernel's side of the gate: an epoll set of listeners and connections. It holds no policy and no timers.
 * Every call but `gateConsume` and `gateWiden` throws an Error with `step` and `errno` EBADF after `gateClose`.
 */
export interface GateCalls {
  readonly gateLayout: GateLayout
  /**
   * @param records reused for each batch; its length in records bounds the batch
   * @param bytes reused for the peeked bytes; at least peekBytes long
   * @param peekBytes most bytes looked at per connection
   * @param onBatch called with the number of records; both buffers are valid until it returns
   */
  gateOpen(
    records: Int32Array,
    bytes: Buffer,
    peekBytes: number,
    onBatch: (count: number) => void,
  ): GateHandle
  /** Returns the index by which ACCEPTED records name the listener, and its port (chosen by the kernel for 0). */
  gateListen(
    gate: GateHandle,
    address: string,
    port: number,
    backlog: number,
    deferSeconds: number,
  ): { index: number; port: number }
  /** Closes a listener; with `drain` takes what is in its accept queue first, calling back from inside. */
  gateUnlisten(gate: GateHandle, index: number, drain: boolean): void
  gateAccepting(gate: GateHandle, on: boolean): void
  /** Adds a connection, edge-triggered; fires soon if something is there already. Generations start at 1. */
  gateAdd(gate: GateHandle, fd: number, generation: number): void
  /** Returns whether the descriptor was in the set. */
  gateRemove(gate: GateHandle, fd: number): boolean
  /** Throws away the first unread bytes of a connection. Returns how many: fewer only where something broke. */
  gateConsume(fd: number, bytes: number): number
  /** Lets a connection's receive window grow to hold `bytes` unread. */
  gateWiden(fd: number, bytes: number): void
  /** Closes the epoll set and the listeners; connections stay open. */
  gateClose(gate: GateHandle): void
}

export const gateCalls = (): GateCalls => native<GateCalls>()
