import { Server as HttpServer } from 'node:http'
import { type Server, Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { readRequestHead } from '../gate/index.js'
import type { Offer } from '../handoff/index.js'
import { flowId, flowKey } from '../kernel/flow.js'
import type { Delivery, Ready } from './delivery.js'
import { observeRequests } from './observation.js'
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
  const whole = new Map<string, Served>()
  const known = new WeakMap<Duplex, Served>()
  const servedBelow = (socket: Duplex) => {
    const served = known.get(socket) ?? whole.get(idOf(socket) ?? '')
    if (served !== undefined) known.set(socket, served)
    return served
  }
  const release = http
    ? sessions.intercept(server)
    : observeRequests(server, {
        answersOf: (socket) => servedBelow(socket)?.answers,
        onAnswered: (status) => sessions.answered(status),
        onSecure: (socket) => servedBelow(socket)?.watch(socket),
        onInsecure: (socket, error) => servedBelow(socket)?.brokenBy(error),
      })
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
      } else {
        whole.set(served.flowId, served)
        socket.once('close', () => {
          if (whole.get(served.flowId) === served) whole.delete(served.flowId)
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

/** A TLS socket does not say which socket is below it, but its addresses are that one's. */
function idOf(socket: Duplex): string | undefined {
  if (!(socket instanceof Socket)) return undefined
  const { remoteAddress, remotePort, localAddress, localPort } = socket
  if (remoteAddress === undefined || localAddress === undefined) return undefined
  const client = { address: remoteAddress, port: remotePort ?? 0 }
  return flowId(flowKey({ client, vip: { address: localAddress, port: localPort ?? 0 } }))
}
