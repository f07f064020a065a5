import { execFile } from 'node:child_process'
import { batonArgs, type ExecResult, type Host } from '../../src/lab/index.js'

/** Runs `baton` to its end, here or on a host of the lab. One that does not end by itself is killed after 10 s. */
export function baton(
  args: readonly string[],
  host?: Host,
): Promise<Pick<ExecResult, 'code' | 'stdout' | 'stderr'>> {
  const all = [...batonArgs, ...args]
  if (host !== undefined) return host.exec(process.execPath, all, { timeoutMs: 10_000 })
  return new Promise((resolve) => {
    execFile(process.execPath, all, { timeout: 10_000, killSignal: 'SIGKILL' }, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : null
      resolve({ code, stdout, stderr })
    })
  })
}

export const lines = (text: string): string[] => text.split('\n').filter((line) => line !== '')
