import type { Socket } from 'node:net'
import { BatonError } from '../errors/index.js'
import { type Endpoint, endpointText } from '../kernel/flow.js'
import { type ProxyVersion, writeProxyHeader } from '../proxy-protocol/index.js'
import { connectTo, tunnel } from '../relay/index.js'
import { type Delivery, limitIdle, type Ready } from './delivery.js'

export interface TcpDeliveryOptions {
  readonly address: Endpoint
  /** What the application is told its clients by. */
  readonly proxyProtocol: ProxyVersion | 'off'
  readonly connectTimeoutMs: number
  /** 0 is no limit. */
  readonly idleTimeoutMs: number
}

/** To any TCP server: it is connected to first, so that one that is away means a refusal and not a lost client. */
export function deliverTcp(options: TcpDeliveryOptions): Delivery {
  return {
    kind: 'tcp',
    allowHalfOpen: true,
    async prepare() {
      const upstream = await dial(options)
      return ready(upstream, options)
    },
    async close() {},
  }
}

function ready(upstream: Socket, { idleTimeoutMs, proxyProtocol }: TcpDeliveryOptions): Ready {
  return {
    deliver(served) {
      const { socket } = served
      socket.setNoDelay(true)
      limitIdle(socket, served, idleTimeoutMs)
      if (proxyProtocol !== 'off') {
        upstream.write(writeProxyHeader(proxyProtocol, served.claimed ?? served.flow))
      }
      void tunnel(socket, upstream).then(({ broken }) => {
        if (broken?.side === 'upstream') served.endsBy('backend')
      })
    },
    cancel() {
      upstream.destroy()
    },
  }
}

async function dial({ address, connectTimeoutMs }: TcpDeliveryOptions): Promise<Socket> {
  try {
    return await connectTo(address, connectTimeoutMs)
  } catch (cause) {
    throw new BatonError('BATON_AGENT_APPLICATION', { detail: endpointText(address), cause })
  }
}
