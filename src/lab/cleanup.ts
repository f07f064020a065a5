import { existsSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { ipBatch, netnsFolder } from './command.js'
import { isErrno } from './errno.js'
import { ownerPid } from './names.js'
import { bpffs, removeStaleTraces } from './traces.js'

/** What must be gone before this process is. */
interface Disposable {
  disposeNow(): void
}

const alive = new Set<Disposable>()
let registered = false

/**
 * Disposes of `lab` when this process ends in whatever way it can notice: exit, an uncaught error, SIGINT, SIGTERM or
 * SIGHUP. Where the program listens to a signal itself, the program decides, and its exit disposes.
 */
export function disposeAtExit(lab: Disposable): void {
  alive.add(lab)
  if (registered) return
  registered = true
  process.on('exit', disposeAll)
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    const onSignal = (): void => {
      if (process.listenerCount(signal) > 1) return
      disposeAll()
      process.off(signal, onSignal)
      process.kill(process.pid, signal)
    }
    process.on(signal, onSignal)
  }
}

export function disposed(lab: Disposable): void {
  alive.delete(lab)
}

function disposeAll(): void {
  for (const lab of [...alive]) {
    try {
      lab.disposeNow()
    } catch (error) {
      process.stderr.write(`lab: ${error instanceof Error ? error.message : String(error)}\n`)
    }
  }
}

/** The namespaces that `ip netns` knows. */
export function listNamespaces(): string[] {
  try {
    return readdirSync(netnsFolder)
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return []
    throw error
  }
}

/** Ends, by pid, every process that runs in one of the namespaces, except this one. Returns how many. */
export function killInside(namespaces: readonly string[]): number {
  const inodes = new Set(namespaces.map((name) => inode(`${netnsFolder}/${name}`)))
  inodes.delete(undefined)
  let killed = 0
  for (const entry of readdirSync('/proc')) {
    const pid = Number(entry)
    if (!Number.isInteger(pid) || pid === process.pid) continue
    const own = inode(`/proc/${pid}/ns/net`)
    if (own === undefined || !inodes.has(own)) continue
    if (kill(pid)) killed++
  }
  return killed
}

/** Unmounts and removes namespaces, with what is pinned for them; those that are gone already do not matter. */
export function removeNamespaces(namespaces: readonly string[]): void {
  const present = new Set(listNamespaces())
  const gone = namespaces.filter((name) => present.has(name))
  removePins(gone)
  ipBatch(gone.map((name) => `netns del ${name}`))
}

/** What agents left pinned, as they must while a connection lives that they adopted; named after their host's namespace. */
function removePins(namespaces: readonly string[]): void {
  if (!existsSync(bpffs)) return
  const inodes = new Set(namespaces.map((name) => String(inode(`${netnsFolder}/${name}`))))
  for (const pin of readdirSync(bpffs)) {
    const host = /^baton-adopt-.+-(\d+)$/.exec(pin)?.[1]
    if (host !== undefined && inodes.has(host)) rmSync(`${bpffs}/${pin}`, { recursive: true, force: true })
  }
}

/**
 * Removes the namespaces, and ends the programs in them, of labs whose process is gone (killed by SIGKILL, say), and
 * what their deployments left elsewhere. Returns the namespaces' names. Labs of living processes are left alone.
 */
export function cleanStale(): string[] {
  const stale = listNamespaces().filter((name) => {
    const pid = ownerPid(name)
    return pid !== undefined && !isAlive(pid)
  })
  if (stale.length > 0) {
    killInside(stale)
    removeNamespaces(stale)
  }
  removeStaleTraces(isAlive)
  return stale
}

function isAlive(pid: number): boolean {
  try {
    // A zombie holds its pid, but nothing of it will ever clean up.
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ESRCH')) return false
    throw error
  }
}

/** Of a namespace file; undefined when the process or namespace has gone meanwhile or may not be looked at. */
function inode(path: string): number | undefined {
  try {
    return statSync(path).ino
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ESRCH', 'EACCES', 'EPERM')) return undefined
    throw error
  }
}

function kill(pid: number): boolean {
  try {
    return process.kill(pid, 'SIGKILL')
  } catch (error) {
    if (isErrno(error, 'ESRCH')) return false
    throw error
  }
}
