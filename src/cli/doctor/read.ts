import { readFileSync } from 'node:fs'

/** A file of /proc, trimmed; undefined where this kernel or host does not have it. */
export function readProc(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim()
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    if (code === 'ENOENT' || code === 'EACCES' || code === 'EINVAL') return undefined
    throw error
  }
}

/** A number below /proc/sys; the parts are joined as they are, so an interface's name may have dots. */
export function readSysctl(...parts: readonly string[]): number | undefined {
  const text = readProc(`/proc/sys/${parts.join('/')}`)
  return text === undefined ? undefined : Number(text)
}
