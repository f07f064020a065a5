import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'

/** Seconds of CPU that processes have used, user and system. */
export interface CpuSeconds {
  readonly user: number
  readonly system: number
}

const ticksPerSecond = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }))

/**
 * Of a process, its threads and those that have ended, from /proc/PID/stat, fields 14 and 15. Their sum is exact to a tick
 * of 10 ms (the kernel scales both to the nanoseconds that the scheduler counted); how it is divided is sampled.
 * Interrupts and packets (softirq) that came while the process was on a CPU are in it, all others are not.
 */
export function cpuSeconds(pid: number): CpuSeconds {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  // The name before may hold spaces and parentheses.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return { user: Number(fields[11]) / ticksPerSecond, system: Number(fields[12]) / ticksPerSecond }
}

export const cpuOf = (pids: readonly number[]): CpuSeconds =>
  pids
    .map(cpuSeconds)
    .reduce((sum, { user, system }) => ({ user: sum.user + user, system: sum.system + system }), {
      user: 0,
      system: 0,
    })

export const minus = (a: CpuSeconds, b: CpuSeconds): CpuSeconds => ({
  user: a.user - b.user,
  system: a.system - b.system,
})
export const total = ({ user, system }: CpuSeconds): number => user + system

/**
 * Nanoseconds that the living threads of processes have been on a CPU, by the scheduler's own clock: exact where a tick of
 * 10 ms is too coarse, but what ended threads used is not in it.
 */
export function threadsNs(pids: readonly number[]): number {
  const threads = pids.flatMap((pid) =>
    readdirSync(`/proc/${pid}/task`).map((task) => `/proc/${pid}/task/${task}`),
  )
  return threads.reduce(
    (sum, thread) => sum + Number(readFileSync(`${thread}/schedstat`, 'utf8').split(' ')[0]),
    0,
  )
}

/** Seconds since the machine started that its CPUs were not idle, all together, everybody's, softirq included. */
export function busySeconds(stat = readFileSync('/proc/stat', 'utf8')): number {
  const [, user, nice, system, , , irq, softirq] = (/^cpu .*/m.exec(stat)?.[0] ?? '').split(/\s+/).map(Number)
  return (
    [user, nice, system, irq, softirq].reduce<number>((sum, ticks) => sum + (ticks ?? Number.NaN), 0) /
    ticksPerSecond
  )
}
