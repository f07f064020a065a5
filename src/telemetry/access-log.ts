import { BatonError } from '../errors/index.js'
import { type AccessLogFormat, type AccessRecord, formatAccess } from './access-record.js'
import { LineFile } from './line-file.js'

export interface AccessLogOptions {
  /** A path, "-" for standard output, or "off". */
  readonly destination: string
  /** Default json. */
  readonly format?: AccessLogFormat
  /** Told when lines get lost, and when they no longer do: once each. */
  readonly onTrouble?: (error: Error | undefined) => void
}

/** Writes a line for each record; never waits, never throws for what the disk does. */
export class AccessLog {
  readonly #format: AccessLogFormat
  readonly #file: LineFile | undefined

  /** @throws BatonError BATON_ACCESS_LOG */
  constructor(options: AccessLogOptions) {
    const { destination, format = 'json', onTrouble = () => {} } = options
    this.#format = format
    if (destination === 'off') return
    try {
      this.#file = new LineFile(destination, onTrouble)
    } catch (cause) {
      const detail = cause instanceof Error ? cause.message : String(cause)
      throw new BatonError('BATON_ACCESS_LOG', { detail, cause })
    }
  }

  /** False where it is off: nobody need put records together for it. */
  get isOn(): boolean {
    return this.#file !== undefined
  }

  write(record: AccessRecord): void {
    this.#file?.write(formatAccess(record, this.#format))
  }

  /** Lines lost since the start, since the file took none. */
  get dropped(): number {
    return this.#file?.dropped ?? 0
  }

  /** Opens the file by its name again, after it was moved away (logrotate). */
  reopen(): void {
    this.#file?.reopen()
  }

  /** Writes what is left and closes. */
  close(): Promise<void> {
    return this.#file?.close() ?? Promise.resolve()
  }
}
