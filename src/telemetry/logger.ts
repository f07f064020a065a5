import { type DestinationStream, type Logger as PinoLogger, pino, stdSerializers } from 'pino'

/** A pino logger. */
export type Logger = PinoLogger

export interface LoggerOptions {
  /** For example "frontend"; children name their part with `logger.child({ component })`. */
  readonly component: string
  /** The configured id of this frontend or agent. */
  readonly id?: string
  /** Default info. */
  readonly level?: string
  /** Default: standard error, written synchronously, so that the last line before a crash is there. */
  readonly destination?: DestinationStream
}

/** Keys whose values are never written, at the top of a line and one or two levels below. */
const SECRET_KEYS = [
  'authorization',
  'proxyAuthorization',
  'cookie',
  'setCookie',
  'token',
  'password',
  'key',
  'secret',
]
const HEADER_KEYS = ['["proxy-authorization"]', '["set-cookie"]']
const redacted = [...SECRET_KEYS, ...HEADER_KEYS].flatMap((key) => {
  const dotted = key.startsWith('[') ? key : `.${key}`
  return [key, `*${dotted}`, `*.*${dotted}`]
})

/** JSON lines: time in ms since the epoch, level, component, and for errors their code beside the message. */
export function createLogger(options: LoggerOptions): Logger {
  const { component, id, level = 'info', destination = pino.destination({ dest: 2, sync: true }) } = options
  return pino(
    {
      level,
      base: { pid: process.pid, component, ...(id === undefined ? {} : { id }) },
      redact: { paths: redacted, censor: '[redacted]' },
      serializers: { err: stdSerializers.err },
    },
    destination,
  )
}
