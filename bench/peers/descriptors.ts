import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

/** As many as the kernel allows by default (fs.nr_open). */
const MOST = 1_048_576

/**
 * Lets this process, and so every program that it starts from now on, have as many open files as it may: a million with
 * CAP_SYS_RESOURCE, else the limit stays. Returns it. Proxies refuse to start where they cannot have two for each
 * connection.
 */
export function raiseDescriptors(): number {
  // Without the right to do so it says so and changes nothing; what holds is read below.
  spawnSync('prlimit', ['--pid', String(process.pid), `--nofile=${MOST}:${MOST}`])
  return openFilesLimit(readFileSync('/proc/self/limits', 'utf8'))
}

/** The hard limit out of /proc/PID/limits. @throws Error when it is not there */
export function openFilesLimit(limits: string): number {
  const found = /^Max open files\s+\S+\s+(\d+|unlimited)/m.exec(limits)?.[1]
  if (found === undefined) throw new Error('/proc/self/limits has no limit of open files')
  return found === 'unlimited' ? MOST : Number(found)
}
