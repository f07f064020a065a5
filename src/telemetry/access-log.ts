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

  constructor(options: AccessLogOptions) {
    this.#format = options.format ?? 'json'
    this.#file =
      options.destination === 'off'
        ? undefined
        : new LineFile(options.destination, options.onTrouble ?? (() => {}))
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

  /** Does so at every signal. Returns what stops it. */
  reopenOn(signal: NodeJS.Signals = 'SIGUSR1'): () => void {
    const reopen = () => this.reopen()
    process.on(signal, reopen)
    return () => process.off(signal, reopen)
  }

  /** Writes what is left and closes. */
  close(): Promise<void> {
    return this.#file?.close() ?? Promise.resolve()
  }
}
