import { type IncomingMessage, STATUS_CODES } from 'node:http'
import type { Duplex } from 'node:stream'
import type { FastifyInstance, RawServerBase } from 'fastify'
import { BatonError } from '../errors/index.js'
import { type Admission, admit } from './admission.js'
import { type ControlAuth, checkAuth } from './auth.js'
import { Channel } from './channel.js'
import { CHANNEL_PATH } from './limits.js'
import type { Hello } from './messages.js'

export interface ChannelServerOptions {
  readonly auth: ControlAuth
  /** This side's HELLO, as it stands when a peer comes. */
  hello(): Hello
  /** A peer is there: set the channel's handlers now. A channel of the same peer id was destroyed just before. */
  onChannel(channel: Channel): void
  /** A request was turned away, or a channel ended before the peer's HELLO. `from` is the peer's address. */
  onRefused?(error: BatonError, from: string): void
}

/**
 * Serves GET {@link CHANNEL_PATH} with `Upgrade: baton/1` on the agent's control server (made with `https:
 * controlServerTls(auth)` for mutual TLS). Answers 401 to a peer that does not prove itself, 426 without a usable
 * Upgrade, then closes; any other upgrade on this server is 404. `fastify.close()` drains the channels.
 * @throws BatonError BATON_CHANNEL_AUTH
 */
export function attachChannelServer<S extends RawServerBase>(
  fastify: FastifyInstance<S>,
  options: ChannelServerOptions,
): void {
  const { auth } = options
  checkAuth(auth)
  /** Channels by peer: one each, the newest. */
  const channels = new Map<string, Channel>()
  const opening = new Set<Channel>()

  const tell = (error: BatonError, request: IncomingMessage) =>
    options.onRefused?.(error, request.socket.remoteAddress ?? 'unknown')

  const open = (socket: Duplex, request: IncomingMessage) => {
    const channel = new Channel(socket, {
      hello: options.hello(),
      onOpen(opened) {
        opening.delete(opened)
        const name = nameOf(opened)
        channels.get(name)?.destroy(new BatonError('BATON_CHANNEL_REPLACED', { detail: name }))
        channels.set(name, opened)
        options.onChannel(opened)
      },
      onEnded(ended) {
        const name = nameOf(ended)
        if (channels.get(name) === ended) channels.delete(name)
      },
      onFailed(error) {
        opening.delete(channel)
        tell(error, request)
      },
    })
    opening.add(channel)
  }

  fastify.server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    const admission = admit(auth, request, pathOf(request) === CHANNEL_PATH)
    if (admission.kind === 'refused') {
      tell(refusalError(admission), request)
      socket.on('error', () => socket.destroy())
      socket.end(rawResponse(admission), () => socket.destroy())
      return
    }
    if (head.length > 0) socket.unshift(head)
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${admission.token}\r\n\r\n`,
    )
    open(socket, request)
  })

  fastify.get(CHANNEL_PATH, (request, reply) => {
    const raw = request.raw as IncomingMessage
    const admission = admit(auth, raw, true)
    // A request with Upgrade never gets here, so nothing can be admitted.
    if (admission.kind === 'admitted') throw new BatonError('BATON_CHANNEL_REFUSED')
    tell(refusalError(admission), raw)
    reply
      .code(admission.status)
      .headers({ ...admission.headers, connection: connectionOf(admission) })
      .send(admission.body)
  })

  fastify.addHook('preClose', async () => {
    for (const channel of opening) channel.destroy()
    await Promise.all([...channels.values()].map((channel) => channel.close()))
  })
}

type Refusal = Extract<Admission, { kind: 'refused' }>

function refusalError({ status, body }: Refusal): BatonError {
  const code =
    status === 401
      ? 'BATON_CHANNEL_UNAUTHORIZED'
      : status === 426
        ? 'BATON_CHANNEL_VERSION'
        : 'BATON_CHANNEL_REFUSED'
  return new BatonError(code, { detail: `Answered ${status}: ${body.message}` })
}

const nameOf = ({ peer }: Channel) => `${peer.role} ${peer.id}`

const pathOf = (request: IncomingMessage) => (request.url ?? '').split('?', 1)[0]

/** RFC 9110, 7.8: whoever sends Upgrade names it in Connection. */
const connectionOf = ({ headers }: Pick<Refusal, 'headers'>) =>
  'upgrade' in headers ? 'upgrade, close' : 'close'

function rawResponse({ status, headers, body }: Refusal): string {
  const text = `${JSON.stringify(body)}\n`
  const lines = Object.entries({
    ...headers,
    'content-type': 'application/json; charset=utf-8',
    'content-length': String(Buffer.byteLength(text)),
    connection: connectionOf({ headers }),
  }).map(([name, value]) => `${name}: ${value}\r\n`)
  return `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${lines.join('')}\r\n${text}`
}
