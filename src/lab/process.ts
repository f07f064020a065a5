import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { BatonError } from '../errors/index.js'
import { insideArgs } from './exec.js'
import { Tail } from './tail.js'

export interface SpawnOptions {
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
  /** Called with every chunk of stdout and stderr, as text. */
  readonly onOutput?: (text: string) => void
}

export interface Readiness {
  /** Matches against the output so far (its last 64 Ki characters). */
  readonly output?: RegExp
  /** A TCP port in state LISTEN anywhere on the host. */
  readonly port?: number
  /** Default 10,000. */
  readonly timeoutMs?: number
}

export interface Exit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

/** A long-running program on a host of the lab. Ends with the lab at the latest. */
export class LabProcess {
  /** What messages call it: the program's name and its host. */
  readonly label: string
  readonly pid: number
  /** Settles when the program has ended and its output was read; never rejects. */
  readonly exited: Promise<Exit>
  #exit: Exit | undefined
  readonly #child: ChildProcess
  readonly #tail = new Tail()
  readonly #listening: (port: number) => boolean

  /** Use host.spawn(). @throws BatonError BATON_LAB_COMMAND */
  constructor(
    host: { readonly name: string; readonly namespace: string; isListening(port: number): boolean },
    command: string,
    args: readonly string[],
    options: SpawnOptions,
  ) {
    this.label = `${command.split('/').at(-1)} on ${host.name}`
    this.#listening = (port) => host.isListening(port)
    // A session of its own: Ctrl-C in the terminal reaches the lab's owner only, which then ends the rest in order.
    this.#child = spawn('nsenter', insideArgs(host.namespace, command, args), {
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...options.env },
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    })
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.#tail.push(text)
        options.onOutput?.(text)
      })
    }
    this.exited = this.#wait()
    if (this.#child.pid === undefined) {
      throw new BatonError('BATON_LAB_COMMAND', { detail: `nsenter could not be started for ${this.label}` })
    }
    this.pid = this.#child.pid
  }

  async #wait(): Promise<Exit> {
    const complete = once(this.#child, 'close')
    complete.catch(() => undefined) // 'error' is told by the await below
    try {
      const [code, signal] = (await once(this.#child, 'exit')) as [number | null, NodeJS.Signals | null]
      // A program's own children may hold its output open: what they print later is not waited for.
      await Promise.race([complete, sleep(200, undefined, { ref: false })])
      this.#exit = { code, signal }
    } catch (error) {
      this.#tail.push(`${String(error)}\n`)
      this.#exit = { code: null, signal: null }
    }
    return this.#exit
  }

  get running(): boolean {
    return this.#exit === undefined && this.#child.exitCode === null && this.#child.signalCode === null
  }

  /** Milliseconds that its threads have been on a CPU, by the scheduler's clock. @throws Error when it has ended */
  get cpuMs(): number {
    const tasks = `/proc/${this.pid}/task`
    const ns = readdirSync(tasks).map(
      (task) => readFileSync(`${tasks}/${task}/schedstat`, 'utf8').split(' ')[0],
    )
    return ns.reduce((sum, text) => sum + Number(text), 0) / 1e6
  }

  /** The last 64 Ki characters of stdout and stderr as they came. */
  get output(): string {
    return this.#tail.text
  }

  /**
   * Waits until every given condition holds. Returns the match of `output`, if that was asked for.
   * @throws BatonError BATON_LAB_EXITED or BATON_LAB_TIMEOUT, with the end of the output
   */
  async waitFor(ready: Readiness): Promise<RegExpExecArray | null> {
    const timeoutMs = ready.timeoutMs ?? 10_000
    const deadlineMs = performance.now() + timeoutMs
    for (;;) {
      const match = ready.output === undefined ? null : new RegExp(ready.output).exec(this.output)
      const printed = ready.output === undefined || match !== null
      if (printed && (ready.port === undefined || this.#listening(ready.port))) return match
      const what = `${this.label}, waiting for ${ready.output ?? ''}${ready.port === undefined ? '' : ` port ${ready.port}`}`
      if (this.#exit !== undefined) {
        const how = `(exit ${this.#exit.code ?? this.#exit.signal})`
        throw new BatonError('BATON_LAB_EXITED', { detail: `${what} ${how}\n${this.#tail.lastLines()}` })
      }
      if (performance.now() > deadlineMs) {
        const detail = `${what} for ${timeoutMs} ms\n${this.#tail.lastLines()}`
        throw new BatonError('BATON_LAB_TIMEOUT', { detail })
      }
      await sleep(10)
    }
  }

  /** Sends a signal by pid; false when the program has ended already. */
  kill(signal: NodeJS.Signals = 'SIGKILL'): boolean {
    return this.running && this.#child.kill(signal)
  }

  /** SIGTERM, and SIGKILL after `graceMs` (default 2,000). Idempotent. */
  async stop(graceMs = 2_000): Promise<Exit> {
    if (this.kill('SIGTERM')) {
      const timer = setTimeout(() => this.kill('SIGKILL'), graceMs)
      await this.exited
      clearTimeout(timer)
    }
    return this.exited
  }
}
