import { native } from './native.js'

interface HostCalls {
  setNetns(path: string): void
  closeFd(fd: number): void
  watchReadable(fd: number, callback: () => void): () => void
}

const calls = (): HostCalls => native<HostCalls>()

/** This process's own network namespace, as a path for {@link inNetns}. */
export const ownNetns = '/proc/self/ns/net'

/**
 * Runs `create` with this thread in another network namespace, synchronously, and comes back. Sockets made inside
 * stay there. Needs CAP_SYS_ADMIN. @param path for example /run/netns/name
 */
export function inNetns<T>(path: string, create: () => T): T {
  const home = `/proc/${process.pid}/task/${process.pid}/ns/net`
  calls().setNetns(path)
  try {
    return create()
  } finally {
    calls().setNetns(homeNetns ?? home)
  }
}

let homeNetns: string | undefined

/** Where {@link inNetns} comes back to, if not the namespace in which the process began: a bind-mounted path. */
export function setHomeNetns(path: string): void {
  homeNetns = path
}

/** close(2). Silent towards the peer for a socket in repair mode. @throws Error with step and errno */
export function closeFd(fd: number): void {
  calls().closeFd(fd)
}

/** Calls back while `fd` has something to read (level-triggered). Returns what stops it; the fd stays the caller's. */
export function watchReadable(fd: number, callback: () => void): () => void {
  return calls().watchReadable(fd, callback)
}
