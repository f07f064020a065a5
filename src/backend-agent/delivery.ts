import type { Offer } from '../handoff/index.js'
import type { Served } from './served.js'
import type { SessionSocket } from './session-socket.js'

/** The way for one connection is open: exactly one of the two is called, once. */
export interface Ready {
  /** Gives the restored connection to the application. Must not throw. */
  deliver(served: Served): void
  /** The connection did not come. */
  cancel(): void
}

/** How the application gets the connections. */
export interface Delivery {
  /** As HELLO names it. */
  readonly kind: 'http' | 'inline' | 'tcp'
  /** The application gets requests that were parsed here: connections that speak anything but HTTP are not for it. */
  readonly parsesHttp?: boolean
  /**
   * The application reads from the socket as a stream, and not from its descriptor: bytes that came with the connection
   * need not go through the kernel.
   */
  readonly readsStream?: boolean
  /** How the restored sockets must be made. */
  readonly allowHalfOpen: boolean
  /**
   * What must stand before the connection is taken over: a failure here is a refusal, and the frontend still has it.
   * @throws BatonError BATON_AGENT_APPLICATION, also as a rejection
   */
  prepare(offer: Offer): Ready | Promise<Ready>
  /** Every connection has ended. */
  close(): Promise<void>
}

/** Where a delivery has no answer of its own to silence. */
export function limitIdle(socket: SessionSocket, served: Served, idleTimeoutMs: number): void {
  if (idleTimeoutMs === 0) return
  socket.setTimeout(idleTimeoutMs, () => {
    served.endsBy('timeout')
    socket.destroy()
  })
}
