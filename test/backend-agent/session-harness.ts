import http, { type RequestListener, type ServerOptions } from 'node:http'
import net from 'node:net'
import { after } from 'node:test'
import { HttpSession, type SessionHost } from '../../src/backend-agent/http-session.js'
import { interceptRequests } from '../../src/backend-agent/interception.js'
import { SessionSocket } from '../../src/backend-agent/session-socket.js'
import { type Arrival, Gate, type RequestHead } from '../../src/gate/index.js'
import { Relay } from '../../src/relay/index.js'
import { httpServer } from '../relay/servers.js'

export interface Harness {
  readonly port: number
  readonly server: http.Server
  readonly sessions: HttpSession[]
  /** Requests whose next head was another pool's: sessions that wait for stay() or leave(). */
  readonly moves: HttpSession[]
  /** What the interception kept from the application. */
  readonly misplaced: string[]
  draining: boolean
}

/**
 * An http server that never listens: connections come from a gate, as they come to an agent by restoring, and
 * everything below /other/ belongs to another pool, which answers `other`.
 */
export async function harness(listener: RequestListener, options: ServerOptions = {}): Promise<Harness> {
  const elsewhere = await httpServer((request, response) => response.end(`other ${request.url}`))
  const server = http.createServer(options, listener)
  const relay = new Relay()
  const byFd = new Map<number, HttpSession>()
  const bySocket = new WeakMap<object, HttpSession>()
  const isOther = (path: string) => path.startsWith('/other/')
  const made: Harness = { port: 0, server, sessions: [], moves: [], misplaced: [], draining: false }
  const host: SessionHost = {
    watch(session) {
      byFd.set(session.socket.fd, session)
      gate.watch(session.socket.fd, { name: 'next', flow: Buffer.alloc(36) }, 0)
      return true
    },
    unwatch(session) {
      gate.unwatch(session.socket.fd)
      byFd.delete(session.socket.fd)
    },
    isOwn: (_session, _host, path) => !isOther(path),
    move: (session) => void made.moves.push(session),
    answered: () => undefined,
    get draining() {
      return made.draining
    },
  }
  const arrive = ({ fd, listener: from, head, halfClosed }: Arrival<RequestHead>) => {
    if (from === 'next') {
      byFd.get(fd)?.onHead(head, halfClosed)
      return
    }
    const socket = new SessionSocket(fd, { allowHalfOpen: true })
    const session = new HttpSession(socket, host, () => head)
    bySocket.set(socket, session)
    made.sessions.push(session)
    server.emit('connection', socket)
  }
  const gate = new Gate({
    limits: { headTimeoutMs: 2000 },
    onArrivals: (arrivals) => arrivals.forEach(arrive),
    onRejected: (rejected) => {
      for (const { fd } of rejected) byFd.get(fd)?.onBadHead()
    },
    onGone: (gone) => {
      for (const { fd } of gone) byFd.get(fd)?.onGone()
    },
  })
  interceptRequests(server, {
    relay,
    sessionOf: (socket) => bySocket.get(socket),
    place: (_session, _host, path) =>
      isOther(path) ? { kind: 'other', pool: 'other', addresses: [elsewhere] } : { kind: 'own' },
    onMisplaced: (outcome) => void made.misplaced.push(outcome),
  })
  const { port } = gate.listen({ name: 'new', address: '127.0.0.1', port: 0 })
  after(async () => {
    gate.destroy()
    for (const session of made.sessions) session.socket.destroy()
    await relay.destroy()
  })
  return Object.assign(made, { port })
}

/** A client that speaks raw bytes and keeps what it hears. */
export class Client {
  readonly socket: net.Socket
  text = ''
  ended = false
  failure: NodeJS.ErrnoException | undefined

  constructor(to: number | net.Socket) {
    this.socket =
      typeof to === 'number'
        ? net.connect({ port: to, host: '127.0.0.1', allowHalfOpen: true, noDelay: true })
        : to
    this.socket.on('data', (chunk) => {
      this.text += chunk.toString('latin1')
    })
    this.socket.on('end', () => {
      this.ended = true
    })
    this.socket.on('error', (error) => {
      this.failure = error
    })
    after(() => this.socket.destroy())
  }

  send(text: string): void {
    this.socket.write(text)
  }

  /** Waits for `count` occurrences of `mark`, then gives what was heard and forgets it. */
  async heard(mark: string, count = 1): Promise<string> {
    await settle(() => this.text.split(mark).length > count || this.ended || this.failure !== undefined)
    const { text } = this
    this.text = ''
    if (text.split(mark).length <= count) {
      throw new Error(
        `heard ${JSON.stringify(text)}; ended ${this.ended}, ${this.failure?.code ?? 'no error'}`,
      )
    }
    return text
  }

  /** Waits for the end. @returns `fin` or the error's code */
  async end(): Promise<string> {
    await settle(() => this.ended || this.failure !== undefined)
    return this.failure?.code ?? 'fin'
  }
}

/** Waits until `check` holds. @throws after five seconds */
export async function settle(check: () => boolean): Promise<void> {
  const limit = performance.now() + 5000
  while (!check()) {
    if (performance.now() > limit) throw new Error(`never happened: ${check}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
