import type { Server } from 'node:net'
import type { AgentConfig } from '../config/index.js'
import { BatonError } from '../errors/index.js'
import { endpointText } from '../kernel/flow.js'
import { createProxy } from './deliver-http.js'
import { deliverToServer } from './deliver-server.js'
import { deliverTcp } from './deliver-tcp.js'
import type { Delivery } from './delivery.js'
import type { Sessions } from './sessions.js'

/**
 * The delivery that the configuration asks for, by way of this process.
 * @param deliver `deliver` itself, or the fallback of `adopt`
 * @param server for `inline`. @throws BatonError BATON_AGENT_STATE when `inline` has none
 */
export function chooseDelivery(
  config: AgentConfig,
  deliver: Exclude<AgentConfig['deliver'], { kind: 'adopt' }>,
  server: Server | undefined,
  sessions: Sessions,
): Delivery {
  const { timeouts, limits } = config
  const maxHeadBytes = limits.headBytes
  switch (deliver.kind) {
    case 'inline':
      if (server === undefined) {
        throw new BatonError('BATON_AGENT_STATE', { detail: 'deliver.kind inline needs a server.' })
      }
      return deliverToServer(server, { kind: 'inline', sessions, maxHeadBytes })
    case 'http': {
      const { connectTimeoutMs, responseTimeoutMs } = deliver
      const address = endpointText(deliver.address)
      const proxy = createProxy(
        { ...timeouts, address, connectTimeoutMs, responseTimeoutMs, maxHeadBytes },
        sessions,
      )
      const delivery = deliverToServer(proxy.server, { kind: 'http', sessions, maxHeadBytes })
      return {
        ...delivery,
        async close() {
          await delivery.close()
          await proxy.relay.destroy(new BatonError('BATON_AGENT_DRAINING'))
        },
      }
    }
    case 'tcp': {
      const { address, proxyProtocol, connectTimeoutMs } = deliver
      return deliverTcp({ address, proxyProtocol, connectTimeoutMs, idleTimeoutMs: timeouts.idleTimeoutMs })
    }
    default:
      return deliver satisfies never
  }
}
