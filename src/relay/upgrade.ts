import { type IncomingMessage, STATUS_CODES } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Dispatcher } from 'undici'
import { BatonError } from '../errors/index.js'
import { relayError } from './failure.js'
import { flatFields, responseFields } from './headers.js'

/** What the application said to `Upgrade`. */
export type UpgradeEnd =
  | { readonly kind: 'switched'; readonly status: number; readonly socket: Duplex }
  | { readonly kind: 'declined'; readonly status: number }
  | {
      readonly kind: 'failed'
      readonly error: BatonError
      readonly sent: boolean
      readonly headSent: boolean
    }

function head(status: number, message: string, fields: readonly string[]): string {
  let text = `HTTP/1.1 ${status} ${message || STATUS_CODES[status] || ''}\r\n`
  for (let index = 0; index < fields.length; index += 2) text += `${fields[index]}: ${fields[index + 1]}\r\n`
  return text
}

/** One request that wants another protocol. The client's socket has no HTTP server behind it any more. */
export class UpgradeExchange implements Dispatcher.DispatchHandler {
  readonly #socket: Duplex
  readonly #settle: (end: UpgradeEnd) => void
  #controller: Dispatcher.DispatchController | undefined
  #headSent = false
  #status = 0
  #settled = false
  readonly #onDrain = () => this.#controller?.resume()
  readonly #onClose = () => {
    const error = new BatonError('BATON_RELAY_CLIENT_GONE')
    this.#finish({ kind: 'failed', error, sent: this.#controller !== undefined, headSent: true })
    this.#controller?.abort(error)
  }

  constructor(socket: Duplex, settle: (end: UpgradeEnd) => void) {
    this.#socket = socket
    this.#settle = settle
    socket.on('drain', this.#onDrain)
    socket.on('close', this.#onClose)
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    if (this.#settled) controller.abort(new BatonError('BATON_RELAY_CLIENT_GONE'))
    else this.#controller = controller
  }

  onRequestUpgrade(
    controller: Dispatcher.DispatchController,
    status: number,
    _headers: unknown,
    upstream: Duplex,
  ): void {
    if (this.#settled) {
      upstream.destroy()
      return
    }
    const raw = controller.rawHeaders
    // Connection and Upgrade are part of the switch, so nothing is taken out.
    this.#socket.write(`${head(status, '', Array.isArray(raw) ? flatFields(raw) : [])}\r\n`, 'latin1')
    upstream.allowHalfOpen = true
    this.#finish({ kind: 'switched', status, socket: upstream })
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    _headers: unknown,
    statusMessage?: string,
  ): void {
    if (this.#settled || status < 200) return
    const raw = controller.rawHeaders
    const fields = responseFields(Array.isArray(raw) ? flatFields(raw) : [])
    this.#status = status
    this.#headSent = true
    this.#socket.write(`${head(status, statusMessage ?? '', fields)}Connection: close\r\n\r\n`, 'latin1')
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (!this.#settled && !this.#socket.write(chunk)) controller.pause()
  }

  onResponseEnd(): void {
    if (this.#settled) return
    this.#socket.end()
    this.#finish({ kind: 'declined', status: this.#status })
  }

  onResponseError(_controller: Dispatcher.DispatchController | undefined, cause: Error): void {
    const sent = this.#controller !== undefined
    this.#finish({ kind: 'failed', error: relayError(cause, sent), sent, headSent: this.#headSent })
  }

  #finish(end: UpgradeEnd): void {
    if (this.#settled) return
    this.#settled = true
    this.#socket.off('drain', this.#onDrain)
    this.#socket.off('close', this.#onClose)
    this.#settle(end)
  }
}

/** The protocol that a request asks for, as undici wants it; null when it is not one request without a body. */
export function wantedProtocol(request: IncomingMessage): string | null {
  const wanted = request.headers.upgrade
  if (wanted === undefined || wanted === '') return null
  if (request.headers['transfer-encoding'] !== undefined) return null
  if (Number(request.headers['content-length'] ?? 0) > 0) return null
  return wanted
}
