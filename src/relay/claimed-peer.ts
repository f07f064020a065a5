import type { Socket } from 'node:net'
import { type FlowKey, parseFlowKey } from '../kernel/flow.js'

/** As much of a socket's handle as tells the peer; what wraps the socket (TLS) asks the handle, not the socket. */
interface PeerHandle {
  getpeername(out: { address?: string; family?: string; port?: number }): number
}

/**
 * Makes a socket tell as its peer who a balancer in front says the client is (PROXY protocol), to whoever asks: the
 * application by `remoteAddress`, a TLS socket on top of it, the fields by which a proxy says whom it speaks for.
 */
export function claimPeer(socket: Socket, claimed: FlowKey): void {
  const { address, port } = parseFlowKey(claimed).client
  const peer = { address, port, family: address.includes(':') ? 'IPv6' : 'IPv4' }
  const { _handle: handle } = socket as unknown as { readonly _handle: PeerHandle | null }
  if (handle === null) return
  handle.getpeername = (out) => {
    Object.assign(out, peer)
    return 0
  }
  // What a socket was told once it remembers, also when it is closed.
  Object.assign(socket, { _peername: peer })
}
