import { readFileSync } from 'node:fs'

/** A process that cannot be mistaken for a later one of the same number. */
export interface ProcessMark {
  readonly pid: number
  /** Low 32 bits of its start time in clock ticks since boot (proc(5), stat, field 22). */
  readonly startedAt: number
}

/** The mark of a process that runs now; undefined when there is none, or it is dead and not yet reaped. */
export function markOf(pid: number): ProcessMark | undefined {
  let stat: string
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    if (code === 'ENOENT' || code === 'ESRCH') return undefined
    throw error
  }
  // The name, field 2, may hold anything, parentheses too: fields are counted from its end.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  if (fields[0] === 'Z' || fields[0] === 'X') return undefined
  return { pid, startedAt: Number(BigInt(fields[19] ?? 0) & 0xffff_ffffn) }
}
