import type { ErrorCode } from '../errors/index.js'
import { type AnswerStatus, rawAnswer } from '../relay/index.js'
import type { Logger } from '../telemetry/index.js'
import { type Head, isWhole } from './head.js'
import { type CustomProtocol, MAX_REFUSAL_BYTES } from './protocol.js'
import { alertOf, type TlsAlert, tlsAlert } from './tls-alert.js'

/** What a refused client gets, and how the log and the metrics call it. */
export interface RefusalAnswer {
  /** Null: there is nothing that the client would understand, and RST says so. */
  readonly bytes: Buffer | null
  /** Null unless the client speaks HTTP. */
  readonly status: number | null
  /** Null unless the client speaks TLS. */
  readonly alert: TlsAlert | null
}

/** What the clients of one listener speak. */
export type Speech = { readonly kind: 'http' | 'tls' | 'tcp' } | Custom
interface Custom {
  readonly kind: 'custom'
  readonly protocol: CustomProtocol
}

const nothing: RefusalAnswer = { bytes: null, status: null, alert: null }

const answerable = new Set<number>([400, 404, 408, 413, 414, 421, 429, 431, 500, 501, 502, 503, 504, 505])
const isAnswerable = (status: number): status is AnswerStatus => answerable.has(status)

/** Says no in the language of a listener's clients. */
export class Refusals {
  readonly #speechOf: (listener: string) => Speech
  readonly #logger: Logger

  constructor(speechOf: (listener: string) => Speech, logger: Logger) {
    this.#speechOf = speechOf
    this.#logger = logger
  }

  /** @param status for who speaks HTTP. @param head undefined where it could not be read */
  answer(listener: string, code: ErrorCode, status: number, head: Head | undefined): RefusalAnswer {
    // Without its header nobody knows who is there, or what is spoken.
    if (code.startsWith('BATON_PROXY_')) return nothing
    const speech = this.#speechOf(listener)
    switch (speech.kind) {
      case 'http': {
        const isHead = head !== undefined && !isWhole(head) && head.method === 'HEAD'
        const said = isAnswerable(status) ? status : 400
        return { bytes: rawAnswer(said, { code, head: isHead }), status: said, alert: null }
      }
      case 'tls': {
        const version = head !== undefined && isWhole(head) && head.kind === 'tls' ? head.version : undefined
        const alert = alertOf(code)
        return { bytes: tlsAlert(alert, version), status: null, alert }
      }
      case 'tcp':
        return nothing
      case 'custom':
        return { bytes: this.#ask(speech, listener, code), status: null, alert: null }
      default:
        return speech satisfies never
    }
  }

  /** The program's own words; its mistakes cost the client the words, and nobody else anything. */
  #ask({ protocol }: Custom, listener: string, code: ErrorCode): Buffer {
    try {
      const words = protocol.refuse?.(code) ?? ''
      const bytes = typeof words === 'string' ? Buffer.from(words) : Buffer.from(words)
      if (bytes.length <= MAX_REFUSAL_BYTES) return bytes
      this.#logger.error({ listener, code, bytes: bytes.length }, 'what refuse() says is too long')
    } catch (error) {
      this.#logger.error({ err: error, listener, code }, 'refuse() threw')
    }
    return Buffer.alloc(0)
  }
}
