import type { FrontendConfig } from '../config/index.js'
import { AccessLog, type AccessRecord, type Logger } from '../telemetry/index.js'

/** Who else reads records, beside the access log. */
export interface RecordListeners {
  listening(): boolean
  tell(record: AccessRecord): void
}

/**
 * Where records of connections go. Where nobody reads them nothing is put together for them: neither notes at the offer
 * nor a record at the end.
 */
export class Records {
  readonly #log: AccessLog
  readonly #listeners: RecordListeners

  /** @throws BatonError BATON_ACCESS_LOG */
  constructor(config: FrontendConfig['log'], logger: Logger, listeners: RecordListeners) {
    this.#listeners = listeners
    this.#log = new AccessLog({
      destination: config.accessLog,
      format: config.accessLogFormat,
      onTrouble: (error) =>
        logger.warn({ err: error }, error ? 'the access log loses lines' : 'the access log works again'),
    })
  }

  /** Asked for each connection: listeners come and go. */
  get wanted(): boolean {
    return this.#log.isOn || this.#listeners.listening()
  }

  write(record: AccessRecord): void {
    this.#log.write(record)
    this.#listeners.tell(record)
  }

  reopen(): void {
    this.#log.reopen()
  }

  close(): Promise<void> {
    return this.#log.close()
  }
}
