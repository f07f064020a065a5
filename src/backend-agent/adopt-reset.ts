import { execFileSync } from 'node:child_process'
import type { FlowKey } from '../kernel/flow.js'
import type { Logger } from '../telemetry/index.js'
import { socketsOf } from './sockets-of.js'

/**
 * Ends an adopted connection that waits for bytes which nobody has any more: the kernel tells the application and the
 * client (SOCK_DESTROY, sock_diag(7); CONFIG_INET_DIAG_DESTROY). Only the application has its descriptor.
 */
export function resetConnection(flow: FlowKey, logger: Logger): void {
  try {
    const killed = execFileSync('ss', ['-HtnK', ...socketsOf(flow)], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    if (killed.trim() === '')
      logger.warn('an adopted connection lacks bytes, and this kernel does not reset it')
    else logger.warn('an adopted connection lacks bytes that nobody has any more: it was reset')
  } catch (error) {
    logger.error({ err: error }, 'an adopted connection lacks bytes, and could not be reset')
  }
}
