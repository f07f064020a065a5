import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Dispatcher } from 'undici'
import { BatonError } from '../errors/index.js'
import type { RequestBody } from './body.js'
import { relayError } from './failure.js'
import { flatFields, responseFields } from './headers.js'

/** How one attempt ended. `early`: the client has seen nothing of it. */
export type AttemptEnd =
  | { readonly kind: 'done'; readonly status: number }
  | {
      readonly kind: 'early'
      readonly error: BatonError
      readonly sent: boolean
      readonly bodyTaken: boolean
    }
  | { readonly kind: 'cut'; readonly status: number; readonly error: BatonError }

function rawFields(controller: Dispatcher.DispatchController): string[] {
  const raw = controller.rawHeaders
  return Array.isArray(raw) ? flatFields(raw) : []
}

/** `Link` fields of a 103 and whatever else it had, as writeEarlyHints takes them. */
function hints(fields: readonly string[]): { link: string | string[] } & Record<string, string | string[]> {
  const link: string[] = []
  const rest: Record<string, string> = {}
  for (let index = 0; index < fields.length; index += 2) {
    const name = (fields[index] ?? '').toLowerCase()
    if (name === 'link') link.push(fields[index + 1] ?? '')
    else rest[name] = fields[index + 1] ?? ''
  }
  return { ...rest, link }
}

/** One request on its way to one address and the answer back, piece by piece with back-pressure both ways. */
export class Exchange implements Dispatcher.DispatchHandler {
  readonly #request: IncomingMessage
  readonly #response: ServerResponse
  readonly #body: RequestBody | null
  readonly #onContinue: (() => void) | undefined
  readonly #settle: (end: AttemptEnd) => void
  #controller: Dispatcher.DispatchController | undefined
  #settled = false
  #headSent = false
  #status = 0
  readonly #onDrain = () => this.#controller?.resume()
  readonly #onClose = () => {
    if (this.#response.writableFinished) return
    const error = new BatonError('BATON_RELAY_CLIENT_GONE')
    this.#finish({ kind: 'cut', status: this.#status, error })
    this.#controller?.abort(error)
    this.#body?.destroy()
  }

  /** @param onContinue tells the client that it may send the body (100 Continue); called once the way is open */
  constructor(
    request: IncomingMessage,
    response: ServerResponse,
    body: RequestBody | null,
    onContinue: (() => void) | undefined,
    settle: (end: AttemptEnd) => void,
  ) {
    this.#request = request
    this.#response = response
    this.#body = body
    this.#onContinue = onContinue
    this.#settle = settle
    response.on('drain', this.#onDrain)
    response.on('close', this.#onClose)
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    if (this.#settled) {
      controller.abort(new BatonError('BATON_RELAY_CLIENT_GONE'))
      return
    }
    this.#controller = controller
    this.#onContinue?.()
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    _headers: unknown,
    statusMessage?: string,
  ): void {
    if (this.#settled) return
    const fields = responseFields(rawFields(controller))
    if (status < 200) {
      this.#informational(status, fields)
      return
    }
    this.#status = status
    this.#headSent = true
    this.#response.writeHead(status, statusMessage ?? '', fields)
    // The head must not wait for a body that may be long in coming.
    this.#response.flushHeaders()
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#settled) return
    if (!this.#response.write(chunk)) controller.pause()
  }

  onResponseEnd(controller: Dispatcher.DispatchController): void {
    if (this.#settled) return
    const raw = controller.rawTrailers
    const trailers = Array.isArray(raw) ? flatFields(raw) : []
    if (trailers.length > 0) {
      const pairs: [string, string][] = []
      for (let index = 0; index < trailers.length; index += 2) {
        pairs.push([trailers[index] ?? '', trailers[index + 1] ?? ''])
      }
      this.#response.addTrailers(pairs)
    }
    this.#response.end(() => this.#finish({ kind: 'done', status: this.#status }))
  }

  onResponseError(_controller: Dispatcher.DispatchController | undefined, cause: Error): void {
    const sent = this.#controller !== undefined
    const error = relayError(cause, sent)
    if (!this.#headSent) {
      this.#finish({ kind: 'early', error, sent, bodyTaken: this.#body?.taken ?? false })
      return
    }
    // The rest of the answer is lost. Ending it properly would make a part look like the whole.
    this.#finish({ kind: 'cut', status: this.#status, error })
    cut(this.#response)
  }

  /** 1xx between request and answer (RFC 9110, section 15.2); a client of HTTP/1.0 must not see one. */
  #informational(status: number, fields: readonly string[]): void {
    if (this.#request.httpVersionMinor === 0) return
    if (status === 103) this.#response.writeEarlyHints(hints(fields))
    else if (status === 102) this.#response.writeProcessing()
  }

  #finish(end: AttemptEnd): void {
    if (this.#settled) return
    this.#settled = true
    this.#response.off('drain', this.#onDrain)
    this.#response.off('close', this.#onClose)
    this.#settle(end)
  }
}

/** Cuts a half-sent answer by RST where that is possible: a FIN would end a body without a length as if it were whole. */
function cut(response: ServerResponse): void {
  const socket: (Duplex & { resetAndDestroy?: () => void }) | null = response.socket
  if (socket !== null && 'encrypted' in socket === false && typeof socket.resetAndDestroy === 'function') {
    socket.resetAndDestroy()
  } else {
    response.destroy()
  }
}
