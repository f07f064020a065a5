import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'

/** What a control group's processes hold, and the kernel for them. */
export interface Memory {
  /** Pages of the processes. */
  readonly userBytes: number
  /** Sockets, files, eBPF maps with their entries: what the kernel allocated on their behalf. */
  readonly kernelBytes: number
}

interface Hierarchy {
  readonly root: string
  read(folder: string): Memory
}

const text = (path: string): string => readFileSync(path, 'utf8')

/** One line of memory.stat. @throws Error when there is none */
export function statOf(stat: string, name: string): number {
  const found = new RegExp(`^${name} (\\d+)$`, 'm').exec(stat)?.[1]
  if (found === undefined) throw new Error(`memory.stat has no ${name}`)
  return Number(found)
}

const first: Hierarchy = {
  root: '/sys/fs/cgroup/memory',
  read: (folder) => ({
    userBytes: statOf(text(`${folder}/memory.stat`), 'rss'),
    kernelBytes: Number(text(`${folder}/memory.kmem.usage_in_bytes`)),
  }),
}
const second: Hierarchy = {
  root: '/sys/fs/cgroup',
  read: (folder) => {
    const stat = text(`${folder}/memory.stat`)
    return { userBytes: statOf(stat, 'anon'), kernelBytes: statOf(stat, 'kernel') }
  },
}

/**
 * A memory control group (version 1 or 2, as the machine has it): everything that is allocated by the programs in it, and
 * by the kernel for them, is charged to it. That is the whole of what a frontend needs, entries of its flow table included
 * (a map charges its entries to the group that it was made in).
 */
export class MemoryGroup {
  readonly #hierarchy: Hierarchy
  readonly #folder: string

  /** @throws Error when the machine has no memory control groups */
  constructor(name: string) {
    this.#hierarchy = existsSync(`${first.root}/memory.stat`) ? first : second
    this.#folder = `${this.#hierarchy.root}/${name}`
    if (this.#hierarchy === second) writeFileSync(`${second.root}/cgroup.subtree_control`, '+memory')
    mkdirSync(this.#folder, { recursive: true })
    if (!existsSync(`${this.#folder}/memory.stat`))
      throw new Error('this machine has no memory control groups')
  }

  /** What `start` starts runs in the group; this process is in it meanwhile. */
  async during(start: () => Promise<void>): Promise<void> {
    const own = ownGroup(text('/proc/self/cgroup'), this.#hierarchy === first)
    writeFileSync(`${this.#folder}/cgroup.procs`, String(process.pid))
    try {
      await start()
    } finally {
      writeFileSync(`${this.#hierarchy.root}${own}/cgroup.procs`, String(process.pid))
    }
  }

  read(): Memory {
    return this.#hierarchy.read(this.#folder)
  }

  /** Once its programs have ended. */
  remove(): void {
    rmdirSync(this.#folder)
  }
}

/** The path of a process's memory group out of /proc/PID/cgroup. @throws Error when there is none */
export function ownGroup(cgroup: string, firstVersion: boolean): string {
  const found = (firstVersion ? /^\d+:(?:[^:]*,)?memory(?:,[^:]*)?:(.*)$/m : /^0::(.*)$/m).exec(cgroup)?.[1]
  if (found === undefined) throw new Error('this process is in no memory control group')
  return found
}
