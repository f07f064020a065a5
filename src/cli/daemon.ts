import type { Logger } from '../telemetry/index.js'

/** What `baton frontend` and `baton agent` run. */
export interface Daemon {
  readonly log: Logger
  /** Rejects when it cannot serve, with nothing left behind. */
  start(): Promise<void>
  /** Drains; ends by itself after the configured drainTimeoutMs. */
  close(): Promise<void>
  /** Ends at once. */
  destroy(): Promise<void>
  /** Left out where it writes no file. */
  reopenLogs?(): void
}

const stopSignals = ['SIGTERM', 'SIGINT'] as const
/** SIGUSR1 by its old use for logrotate, SIGHUP since it must not kill. */
const reopenSignals = ['SIGUSR1', 'SIGHUP'] as const
const failures = ['uncaughtException', 'unhandledRejection'] as const

/**
 * Runs until a signal: SIGTERM or SIGINT drains, a second one ends at once; SIGUSR1 and SIGHUP open the logs again. A
 * failure that nobody caught ends at once.
 * @returns the exit code: 0 after a drain, 1 otherwise. @throws Error what start() throws
 */
export async function runDaemon(daemon: Daemon): Promise<number> {
  const { log } = daemon
  let stop: (code: number) => void = () => undefined
  const ended = new Promise<number>((resolve) => {
    stop = resolve
  })
  let stopping = false
  const finish = (work: Promise<void>, code: number) => {
    work.then(
      () => stop(code),
      (error: unknown) => {
        log.error({ err: error }, 'the stop failed')
        stop(1)
      },
    )
  }
  const onStop = (signal: NodeJS.Signals) => {
    log.info({ signal }, stopping ? 'stopping at once' : 'stopping')
    if (stopping) finish(daemon.destroy(), 1)
    else finish(daemon.close(), 0)
    stopping = true
  }
  const onReopen = (signal: NodeJS.Signals) => {
    daemon.reopenLogs?.()
    const done = daemon.reopenLogs === undefined ? 'no log file to open again' : 'logs opened again'
    log.info({ signal }, `${done}; the configuration is read at the start only`)
  }
  const onFailure = (error: unknown) => {
    log.fatal({ err: error }, 'stopping after an error that nobody caught')
    finish(daemon.destroy(), 1)
  }
  for (const signal of reopenSignals) process.on(signal, onReopen)
  for (const signal of stopSignals) process.on(signal, onStop)
  for (const failure of failures) process.on(failure, onFailure)
  // Asked to stop while it starts, it does not wait for the start.
  return Promise.race([ended, daemon.start().then(() => ended)])
}
