import { Server as HttpServer } from 'node:http'
import type { Server } from 'node:net'
import { readRequestHead } from '../gate/index.js'
import type { Offer } from '../handoff/index.js'
import type { Delivery, Ready } from './delivery.js'
import type { Served } from './served.js'
import type { Sessions } from './sessions.js'

/** net.Server keeps these as properties; the types know only the options. */
interface ServerProperties {
  readonly allowHalfOpen?: boolean
  readonly noDelay?: boolean
}

/**
 * To a server in this process, by its own 'connection' event: whatever is built on net.Server takes the socket as if it
 * had accepted it. The connections of an http.Server become sessions, whose requests are routed one by one; those of
 * any other (https, net) stay to their end.
 */
export function deliverToServer(
  server: Server,
  options: { readonly kind: 'inline' | 'http'; readonly sessions: Sessions; readonly maxHeadBytes: number },
): Delivery {
  const { kind, sessions, maxHeadBytes } = options
  const { allowHalfOpen = false, noDelay = false }: ServerProperties = server as ServerProperties
  const http = server instanceof HttpServer
  const release = http ? sessions.intercept(server) : () => undefined
  const ready = ({ receive: { queue }, socket: restored }: Offer['snapshot']): Ready => ({
    deliver(served: Served) {
      const { socket } = served
      // Mostly it came with it: the frontend's listener has it on.
      if (noDelay && !restored.noDelay) socket.setNoDelay(true)
      if (http) {
        sessions.begin(served, () => {
          const first = readRequestHead(queue, queue.length, maxHeadBytes)
          return first.kind === 'head' ? first.head : undefined
        })
      }
      server.emit('connection', socket)
    },
    cancel() {},
  })
  return {
    kind,
    parsesHttp: http,
    // Others, TLS among them, may take the handle for themselves.
    readsStream: http,
    allowHalfOpen,
    prepare: (offer) => ready(offer.snapshot),
    async close() {
      release()
      // Ends the check for late heads of a server that is the agent's own; the user's server is the user's.
      if (kind === 'http') server.close()
    },
  }
}
