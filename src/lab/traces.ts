import { readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { isErrno } from './errno.js'

/** Where a deployment has its folder, and its frontends their pins: outside the namespaces. */
export const runFolder = '/run/baton'
export const bpffs = '/sys/fs/bpf'

/** btdemo4711 and btdemo4711-front-1, of the process 4711. */
const owned = /^bt[a-z]*(\d+)(?:-|$)/

/** Removes the folders and pins that carry the pid of a process that is gone. @param alive by pid */
export function removeStaleTraces(alive: (pid: number) => boolean): void {
  for (const folder of [runFolder, bpffs]) {
    for (const name of entries(folder)) {
      const pid = owned.exec(name)?.[1]
      if (pid !== undefined && !alive(Number(pid))) remove(join(folder, name))
    }
  }
}

function entries(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return []
    throw error
  }
}

export function remove(path: string): void {
  rmSync(path, { recursive: true, force: true })
}
