import type { Socket } from 'node:net'
import { BatonError } from '../errors/index.js'
import { type Endpoint, endpointText } from '../kernel/flow.js'
import { connectTo, tunnel } from '../relay/index.js'
import { type Delivery, limitIdle, type Ready } from './delivery.js'

export interface TcpDeliveryOptions {
  readonly address: Endpoint
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
      return ready(upstream, options.idleTimeoutMs)
    },
    async close() {},
  }
}

function ready(upstream: Socket, idleTimeoutMs: number): Ready {
  return {
    deliver(served) {
      const { socket } = served
      socket.setNoDelay(true)
      limitIdle(socket, served, idleTimeoutMs)
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
