import { type FlowKey, isIpv4Flow } from '../kernel/flow.js'
import { discard, freeze, thaw } from './freeze.js'
import { restore } from './restore.js'

/**
 * Lets the client of a connection that nobody has know so. Nobody here knows its sequence numbers any more, and a
 * client that only waits for an answer would wait for ever. So a socket with made-up numbers sends one ACK and goes
 * silently: the client answers an unacceptable segment with an ACK of its own (RFC 9293, 3.10.7.4), and to that this
 * host, which has no such socket, says RST with numbers that the client accepts.
 *
 * The client's answer must not come here before this returns, and must reach this host's stack afterwards: park the flow
 * before, and give it back then.
 * @throws BatonError BATON_RESTORE_*: for example when the VIP is not local any more
 */
export function provokeReset(flow: FlowKey): void {
  const fd = restore(
    {
      flow,
      socketFamily: isIpv4Flow(flow) ? 4 : 6,
      receive: { nextSequence: 1, queue: Buffer.alloc(0) },
      send: { writeSequence: 1, queue: Buffer.alloc(0), unsentBytes: 0 },
      window: { sndWl1: 1, sndWnd: 1000, maxWindow: 1000, rcvWnd: 1000, rcvWup: 1 },
      mss: 536,
      options: { sack: false, windowScale: null, timestamps: null },
      socket: { congestion: 'reno', noDelay: false, keepAlive: null, userTimeoutMs: 0, tos: 0, mark: 0 },
    },
    { finish: 'frozen' },
  )
  try {
    thaw(fd)
    freeze(fd, flow)
  } finally {
    discard(fd)
  }
}
