import { closeSync, openSync, write } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'

const writeSome = promisify(write)

/** Bytes that wait at most; then lines are dropped. */
const MAX_WAITING_BYTES = 4 << 20
/** So many bytes are written at once without waiting for more. */
const EAGER_BYTES = 64 << 10
const FLUSH_MS = 200
/** After a write that failed, and after one that a full pipe did not take. */
const RETRY_MS = 1000
const FULL_PIPE_MS = 20

/**
 * Appends lines to a file or to standard output from a bounded buffer: one write at a time, whole lines, in order. A
 * file that takes none (disk full, pipe not read) costs lines, counted, and never blocks.
 */
export class LineFile {
  readonly #path: string
  readonly #onTrouble: (error: Error | undefined) => void
  #fd: number
  #waiting: string[] = []
  #waitingBytes = 0
  #timer: NodeJS.Timeout | undefined
  #pump: Promise<void> | undefined
  #reopenAsked = false
  /** Aborted by close(): nothing is retried any more. */
  readonly #closing = new AbortController()
  #closed: Promise<void> | undefined
  #lost = 0

  /**
   * @param path "-" is standard output
   * @param onTrouble once when lines cannot be written, and with undefined once when they can again
   * @throws Error when the file cannot be opened
   */
  constructor(path: string, onTrouble: (error: Error | undefined) => void) {
    this.#path = path
    this.#onTrouble = onTrouble
    this.#fd = this.#open()
  }

  /** Lines lost since the start. */
  get dropped(): number {
    return this.#lost
  }

  #open(): number {
    return this.#path === '-' ? 1 : openSync(this.#path, 'a', 0o640)
  }

  write(line: string): void {
    if (this.#closed !== undefined || this.#waitingBytes + line.length > MAX_WAITING_BYTES) {
      this.#lost++
      return
    }
    this.#waiting.push(line)
    this.#waitingBytes += line.length
    if (this.#waitingBytes >= EAGER_BYTES) this.#start()
    else if (this.#pump === undefined) this.#timer ??= setTimeout(() => this.#start(), FLUSH_MS)
  }

  /** Before the next line is written. */
  reopen(): void {
    this.#reopenAsked = true
    this.#start()
  }

  close(): Promise<void> {
    this.#closed ??= this.#finish()
    return this.#closed
  }

  async #finish(): Promise<void> {
    this.#closing.abort()
    await this.#start()
    if (this.#path !== '-') closeSync(this.#fd)
  }

  #start(): Promise<void> {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#pump ??= this.#drain().finally(() => {
      this.#pump = undefined
    })
    return this.#pump
  }

  async #drain(): Promise<void> {
    do {
      if (this.#reopenAsked) this.#swap()
      const lines = this.#waiting
      this.#waiting = []
      this.#waitingBytes = 0
      if (lines.length > 0) await this.#writeAll(Buffer.from(lines.join('')))
    } while (this.#waiting.length > 0 || this.#reopenAsked)
  }

  async #writeAll(bytes: Buffer): Promise<void> {
    let troubled = false
    for (let done = 0; done < bytes.length; ) {
      try {
        const { bytesWritten } = await writeSome(this.#fd, bytes, done, bytes.length - done, null)
        done += bytesWritten
        if (troubled) this.#onTrouble(undefined)
        troubled = false
      } catch (error) {
        const full = error instanceof Error && 'code' in error && error.code === 'EAGAIN'
        if (!full && !troubled) this.#onTrouble(asError(error))
        troubled ||= !full
        if (this.#closing.signal.aborted) {
          this.#lost += bytes.subarray(done).filter((byte) => byte === 10).length
          return
        }
        await sleep(full ? FULL_PIPE_MS : RETRY_MS, undefined, { signal: this.#closing.signal }).catch(
          () => {},
        )
      }
    }
  }

  /** The old file keeps what was written to it; when the new one cannot be opened, the old one goes on. */
  #swap(): void {
    this.#reopenAsked = false
    if (this.#path === '-') return
    try {
      const fd = this.#open()
      closeSync(this.#fd)
      this.#fd = fd
    } catch (error) {
      this.#onTrouble(asError(error))
    }
  }
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error))
}
