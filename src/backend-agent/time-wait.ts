import { execFile } from 'node:child_process'
import type { FlowKey } from '../kernel/flow.js'
import { socketsOf } from './sockets-of.js'

/** How long ss(8) may take, in ms. */
const LIMIT_MS = 500

/**
 * Ends what this host still holds in TIME_WAIT of a flow whose client uses its port again: its SYN would have ended that,
 * had it come here. A restore ends it too where the old connection's last segments had timestamps (net/ipv4/tcp_ipv4.c:
 * tcp_twsk_unique); this is for the rest. By SOCK_DESTROY (sock_diag(7); CONFIG_INET_DIAG_DESTROY), and nothing but
 * TIME_WAIT. @returns whether something was ended
 */
export function endTimeWait(flow: FlowKey): Promise<boolean> {
  const words = ['-HtnK', 'state', 'time-wait', ...socketsOf(flow)]
  return new Promise((resolve) => {
    execFile('ss', words, { timeout: LIMIT_MS }, (error, killed) => {
      // Without ss or with a kernel that cannot the offer is refused, as it would have been.
      resolve(error === null && killed.trim() !== '')
    })
  })
}
