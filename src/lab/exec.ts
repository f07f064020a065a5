import { spawn } from 'node:child_process'
import { BatonError } from '../errors/index.js'
import { netnsFolder } from './command.js'

export interface ExecOptions {
  /** Then SIGKILL. Default 30,000; 0 means never. */
  readonly timeoutMs?: number
  readonly input?: string | Buffer
  readonly env?: Readonly<Record<string, string>>
  /** Of stdout and of stderr; what comes after is thrown away and `truncated` is true. Default 16 MiB. */
  readonly maxOutputBytes?: number
}

export interface ExecResult {
  /** Exit code; null when a signal ended it. */
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
  readonly timedOut: boolean
  readonly truncated: boolean
  readonly durationMs: number
}

/**
 * The arguments that run a program inside a namespace. setpriv has the kernel kill it when this process dies, even by
 * SIGKILL; both replace themselves with the program, so the child's pid is the program's own.
 */
export function insideArgs(namespace: string, command: string, args: readonly string[]): string[] {
  return [`--net=${netnsFolder}/${namespace}`, 'setpriv', '--pdeathsig', 'KILL', command, ...args]
}

/** Runs a program in a namespace to its end. @throws BatonError BATON_LAB_COMMAND when it cannot be started at all */
export function execInside(
  namespace: string,
  command: string,
  args: readonly string[],
  options: ExecOptions,
): Promise<ExecResult> {
  const limit = options.maxOutputBytes ?? 16 * 1024 * 1024
  const timeoutMs = options.timeoutMs ?? 30_000
  return new Promise((resolve, reject) => {
    const startedAtMs = performance.now()
    const child = spawn('nsenter', insideArgs(namespace, command, args), {
      env: { ...process.env, ...options.env },
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    let timedOut = false
    let truncated = false
    const timer =
      timeoutMs === 0
        ? undefined
        : setTimeout(() => {
            timedOut = true
            child.kill('SIGKILL')
          }, timeoutMs)
    const collect = (stream: NodeJS.ReadableStream): (() => string) => {
      const chunks: Buffer[] = []
      let bytes = 0
      stream.on('data', (chunk: Buffer) => {
        if (bytes >= limit) truncated = true
        else chunks.push(chunk)
        bytes += chunk.length
      })
      return () => Buffer.concat(chunks).toString('utf8')
    }
    const stdout = collect(child.stdout)
    const stderr = collect(child.stderr)
    child.on('error', (cause) => {
      clearTimeout(timer)
      reject(new BatonError('BATON_LAB_COMMAND', { detail: `nsenter: ${cause.message}`, cause }))
    })
    child.on('close', (code, signal) => {
      clearTimeout(timer)
      const durationMs = performance.now() - startedAtMs
      resolve({ code, signal, stdout: stdout(), stderr: stderr(), timedOut, truncated, durationMs })
    })
    // A program that ends without reading its input breaks the pipe; its exit code says what matters.
    child.stdin.on('error', () => undefined)
    child.stdin.end(options.input)
  })
}
