import type { IncomingMessage, ServerResponse } from 'node:http'
import type { RequestHead } from '../gate/index.js'
import { onRawAnswer } from './raw-answer.js'
import type { SessionSocket, SocketOwner } from './session-socket.js'
import { isWatched, next, type SessionEvent, type SessionState } from './session-state.js'

/** What a session needs of the agent around it. */
export interface SessionHost {
  /** The gate shall look for the next head and report it by onHead, onBadHead or onGone. False: it cannot. */
  watch(session: HttpSession): boolean
  unwatch(session: HttpSession): void
  /** Whether this request may be answered here. */
  isOwn(session: HttpSession, host: string | null, path: string): boolean
  /** Begins to move the connection away; ends in {@link HttpSession.stay} or {@link HttpSession.leave}. */
  move(session: HttpSession, head: RequestHead): void
  /** A request is over. @param status 0 when there was no answer */
  answered(status: number): void
  /** No more than the request in hand: ask the client to close, or move it. */
  readonly draining: boolean
}

/** How long an idle connection may stay idle while the agent drains, in ms. */
const DRAIN_IDLE_MS = 5000

/**
 * A kept-alive HTTP connection whose next request may belong elsewhere. The http server serves it as any other; once a
 * request has been read whole, the session holds reading and lets the gate look at the next head, while every byte of
 * it still lies in the kernel, from where the connection can be moved.
 *
 * That works only while it is known that no byte of the next request has been read: `bytesRead` must be the sum of the
 * requests so far. It is not after pipelining, nor after a chunked body, whose framing nobody counts; then the session
 * is `plain`, and what belongs elsewhere is relayed.
 */
export class HttpSession implements SocketOwner {
  readonly socket: SessionSocket
  readonly #host: SessionHost
  #state: SessionState
  /** Bytes of the requests that the server has been given; NaN where only reading tells. */
  #expectedBytes = 0
  /** Gives the request that the connection came with, until that is counted. */
  #readFirst: (() => RequestHead | undefined) | undefined
  /** The next head, seen but not read. */
  #nextHead: { readonly head: RequestHead; readonly halfClosed: boolean } | undefined
  /** Answers that are not out. */
  readonly #open = new Set<ServerResponse>()
  #upgraded = false
  requests = 0
  /** Of the last answer; 0 before the first. */
  status = 0
  timedOut = false

  /**
   * @param readFirst gives the request that the connection came with, or undefined; asked once that has been read, since
   *   the answer need not wait for it. Left out the session is plain.
   */
  constructor(
    socket: SessionSocket,
    host: SessionHost,
    readFirst: (() => RequestHead | undefined) | undefined,
  ) {
    this.socket = socket
    this.#host = host
    this.#readFirst = readFirst
    this.#state = readFirst === undefined ? 'plain' : 'reading'
    socket.owner = this
  }

  get state(): SessionState {
    return this.#state
  }

  /** The head of an answer is out, and its end is not. */
  get midAnswer(): boolean {
    for (const response of this.#open) if (response.headersSent) return true
    return false
  }

  /** Nothing of the next request is in user space and nothing of an answer is on its way: it may be frozen. */
  get movable(): boolean {
    const { socket } = this
    return (
      this.#state === 'moving' &&
      this.#open.size === 0 &&
      socket.held &&
      !socket.destroyed &&
      socket.bytesRead === this.#expectedBytes &&
      socket.writableLength === 0 &&
      !socket.writableEnded &&
      !socket.readableEnded
    )
  }

  /** The http server has read a head. Called before anybody answers it. */
  onRequest(request: IncomingMessage, response: ServerResponse): void {
    this.requests++
    this.#open.add(response)
    if (this.#host.draining) response.shouldKeepAlive = false
    response.once('close', () => {
      this.#open.delete(response)
      if (response.headersSent) this.status = response.statusCode
      this.#host.answered(response.headersSent ? response.statusCode : 0)
      this.#onAnswered()
    })
    if (this.#state !== 'reading') return
    // Node pushes null into the request when its last byte has been parsed, whether anybody reads the body or not; there
    // is no event for it. Holding here comes before the server asks for more bytes.
    const push = request.push
    request.push = (chunk: unknown, encoding?: BufferEncoding) => {
      if (chunk === null) this.#onWhole()
      return push.call(request, chunk, encoding)
    }
  }

  /** The agent drains: an idle connection is closed soon, unless its next request comes first. */
  onDrain(): void {
    const idle = this.#open.size === 0 && (this.#state === 'idle' || this.#state === 'plain')
    if (idle && this.requests > 0 && !this.#upgraded) this.socket.setTimeout(DRAIN_IDLE_MS)
  }

  /** The connection speaks another protocol from now on: it stays here to its end. */
  onUpgrade(): void {
    this.requests++
    this.#upgraded = true
    onRawAnswer(this.socket, (status) => {
      this.status = status
      this.#host.answered(status)
    })
    this.#step('lost-count')
  }

  /** The gate: the next head is whole, and not a byte of it has been read. */
  onHead(head: RequestHead, halfClosed: boolean): void {
    this.#nextHead = { head, halfClosed }
    if (this.#state === 'answering') this.#step('head')
    else this.#decide()
  }

  /** The gate: closed or reset. The server reads, finds out for itself, and tells the application. */
  onGone(): void {
    this.#step('no-head')
  }

  /** The gate: no head, or not all of it in time. The server judges for itself, but not before the answer is out. */
  onBadHead(): void {
    if (this.#state === 'answering') this.#step('head')
    else this.#step('no-head')
  }

  /** The connection could not be moved: the server reads the request, which is relayed if it is not ours. */
  stay(): void {
    this.#acceptHead()
    this.#step('stay')
  }

  /** From now on the socket is frozen: nobody may close it or speak on it. */
  freeze(): void {
    this.#step('freeze')
  }

  /** The connection lives elsewhere: the frozen socket is closed, which says nothing to the client. */
  leave(): void {
    this.#step('leave')
    this.socket.destroy()
  }

  onTimeout(): boolean {
    if (this.#state === 'moving' || this.#state === 'frozen') return true
    if (this.#state === 'idle') {
      this.#timeoutAfterRead()
      return true
    }
    this.timedOut = true
    return false
  }

  mayDestroy(): boolean {
    return this.#state !== 'frozen'
  }

  onReadingAgain(): void {
    if (!isWatched(this.#state)) return
    this.#host.unwatch(this)
    this.#step('no-head')
  }

  onClosing(): void {
    if (isWatched(this.#state)) this.#host.unwatch(this)
    this.#step('closing')
  }

  /** The server's own limit for idle connections. Part of a head may have come, and closing over it would send RST. */
  #timeoutAfterRead(): void {
    const before = this.socket.bytesRead
    this.#host.unwatch(this)
    this.#step('no-head')
    // Two turns of the loop: one to start reading, one in which what is there is read.
    setImmediate(() =>
      setImmediate(() => {
        if (this.socket.bytesRead === before && !this.socket.destroyed) this.socket.emit('timeout')
      }),
    )
  }

  #onWhole(): void {
    if (this.#state !== 'reading') return
    if (this.#readFirst !== undefined) {
      const first = this.#readFirst()
      this.#readFirst = undefined
      this.#expect(first)
    }
    if (this.socket.bytesRead !== this.#expectedBytes) {
      this.#step('lost-count')
      return
    }
    this.#step('whole')
    if (!this.#host.watch(this)) this.#step('lost-count')
    else this.#onAnswered()
  }

  #onAnswered(): void {
    const { socket } = this
    if (this.#open.size > 0 || socket.destroyed || socket.writableEnded) return
    if (this.#state === 'answering') this.#step('answered')
    else if (this.#state === 'queued') this.#decide()
  }

  /** Whose is the next request? */
  #decide(): void {
    if (this.#nextHead === undefined) {
      this.#step('no-head')
      return
    }
    const { head, halfClosed } = this.#nextHead
    // A half-closed connection is not frozen: it is served, or its request relayed, and then closed.
    if (halfClosed || (this.#host.isOwn(this, head.host, head.path) && !this.#host.draining)) {
      this.#acceptHead()
      this.#step('own-head')
      return
    }
    this.#step('foreign-head')
    this.#host.move(this, head)
  }

  #acceptHead(): void {
    if (this.#nextHead === undefined) return
    this.#expect(this.#nextHead.head)
    this.#nextHead = undefined
  }

  /** The server is given this request. */
  #expect(head: RequestHead | undefined): void {
    this.#expectedBytes += head === undefined ? Number.NaN : requestBytes(head)
  }

  #step(event: SessionEvent): void {
    const before = this.#state
    this.#state = next(before, event)
    if (this.#state === before) return
    switch (this.#state) {
      case 'answering':
        this.socket.hold()
        return
      case 'reading':
      case 'plain':
        this.socket.release()
        return
      case 'queued':
      case 'idle':
      case 'moving':
      case 'frozen':
      case 'left':
      case 'ended':
        return
      default:
        this.#state satisfies never
    }
  }
}

/** Bytes of a request on the wire; NaN where only reading tells. */
function requestBytes(head: RequestHead): number {
  if (head.chunked || head.upgrade !== null) return Number.NaN
  return head.headBytes + (head.contentLength ?? 0)
}
