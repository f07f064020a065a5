import { native } from './native.js'

interface HostCalls {
  enterNetns(path: string): number
  leaveNetns(before: number): void
  closeFd(fd: number): void
  watchReadable(fd: number, callback: () => void): () => void
  mapFile(fd: number, bytes: number): Buffer
  mapMemory(fd: number, bytes: number): Buffer
}

const calls = (): HostCalls => native<HostCalls>()

/**
 * Runs `create` with this thread in another network namespace, synchronously, and comes back. Sockets made inside
 * stay there. Needs CAP_SYS_ADMIN. @param path for example /run/netns/name
 */
export function inNetns<T>(path: string, create: () => T): T {
  const before = calls().enterNetns(path)
  try {
    return create()
  } finally {
    calls().leaveNetns(before)
  }
}

/** Where the thread is until the next tick, how often it was sent there, and what brings it back. */
let away: { readonly path: string; count: number; readonly before: number } | undefined

/**
 * As {@link inNetns}, for what Node only does in its next tick: net.connect to an IP literal. The thread comes back
 * behind the ticks that `create` queued; what others queued before runs there too, so this is for labs and tests.
 * @throws Error when the thread waits for a tick in another namespace than this
 */
export function inNetnsUntilNextTick<T>(path: string, create: () => T): T {
  if (away !== undefined && away.path !== path)
    throw new Error(`this thread is in ${away.path} until the next tick`)
  away ??= { path, count: 0, before: calls().enterNetns(path) }
  away.count++
  try {
    return create()
  } finally {
    process.nextTick(comeBack)
  }
}

function comeBack(): void {
  if (away === undefined || --away.count > 0) return
  const { before } = away
  away = undefined
  calls().leaveNetns(before)
}

/** Moves this thread to another network namespace for good: {@link inNetns} comes back there from now on. */
export function setHomeNetns(path: string): void {
  closeFd(calls().enterNetns(path))
}

/** close(2). Silent towards the peer for a socket in repair mode. @throws Error with step and errno */
export function closeFd(fd: number): void {
  calls().closeFd(fd)
}

/** Calls back while `fd` has something to read (level-triggered). Returns what stops it; the fd stays the caller's. */
export function watchReadable(fd: number, callback: () => void): () => void {
  return calls().watchReadable(fd, callback)
}

/**
 * The first `bytes` of a file as memory: what is stored is in the page cache at once, whatever becomes of this process.
 * The file is made that long, and its blocks are allocated. Nobody may cut it short while it is mapped.
 * @throws Error with step and errno
 */
export function mapFile(fd: number, bytes: number): Buffer {
  return calls().mapFile(fd, bytes)
}

/** The first `bytes` of an eBPF array that was made to be mapped (BPF_F_MMAPABLE). @throws Error with step and errno */
export function mapMemory(fd: number, bytes: number): Buffer {
  return calls().mapMemory(fd, bytes)
}
