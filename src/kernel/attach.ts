import { native } from './native.js'

interface AttachCalls {
  tcxCreate(program: number, ifindex: number): number
  linkUpdate(link: number, program: number): void
  linkDetach(link: number): void
  linkInfo(link: number): { ifindex: number; programId: number }
  clsactCreate(ifindex: number): boolean
  clsactDestroy(ifindex: number): void
  clsactAttach(ifindex: number, program: number, handle: number, priority: number): void
  clsactDetach(ifindex: number, handle: number, priority: number): boolean
  ifIndex(name: string): number
  mountBpffs(path: string): void
  lockDirectory(path: string): number
}

const calls = (): AttachCalls => native<AttachCalls>()

/** A filter's place at a clsact hook. */
export interface FilterPlace {
  readonly handle: number
  readonly priority: number
}

/** The number of an interface of this thread's network namespace; undefined when there is none of that name. */
export function interfaceIndex(name: string): number | undefined {
  return calls().ifIndex(name) || undefined
}

/** Hangs a tc program at an interface's ingress by a TCX link. @returns the link's fd. @throws Error, errno EINVAL before 6.6 */
export function createTcxLink(program: number, ifindex: number): number {
  return calls().tcxCreate(program, ifindex)
}

/** The link runs `program` from the next packet on; no packet meets neither. */
export function updateLink(link: number, program: number): void {
  calls().linkUpdate(link, program)
}

/** Takes a link's program off; the link's descriptors and pins stay, without effect. */
export function detachLink(link: number): void {
  calls().linkDetach(link)
}

/** Where a TCX link hangs (ifindex 0: the interface is gone) and what it runs. */
export function linkInfo(link: number): { readonly ifindex: number; readonly programId: number } {
  return calls().linkInfo(link)
}

/** Makes the clsact qdisc. @returns false when there was one */
export function createClsact(ifindex: number): boolean {
  return calls().clsactCreate(ifindex)
}

/** Removes the clsact qdisc with all that hangs there. */
export function destroyClsact(ifindex: number): void {
  calls().clsactDestroy(ifindex)
}

/** Hangs a program at the clsact ingress hook, in the stead of what has the same place. */
export function attachFilter(ifindex: number, program: number, place: FilterPlace): void {
  calls().clsactAttach(ifindex, program, place.handle, place.priority)
}

/** @returns whether there was a filter at that place */
export function detachFilter(ifindex: number, place: FilterPlace): boolean {
  return calls().clsactDetach(ifindex, place.handle, place.priority)
}

/** Mounts bpffs on an existing directory. */
export function mountBpffs(path: string): void {
  calls().mountBpffs(path)
}

/** Locks a directory against other processes until the descriptor is closed. @returns undefined when another holds it */
export function lockDirectory(path: string): number | undefined {
  const fd = calls().lockDirectory(path)
  return fd < 0 ? undefined : fd
}
