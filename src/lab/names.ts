import { BatonError } from '../errors/index.js'

/**
 * The names of a lab's network namespaces carry the pid of the process that made them, so that a later run can tell
 * what nobody owns any more:
 *
 *     btdemo 4711 -2 -frontend1
 *     prefix pid  nth lab of that process (none for the first)   host
 */
const scheme = /^(bt[a-z]*)(\d+)(?:-(\d+))?-([a-z][a-z0-9]*)$/

/** Labs of this process by prefix, so that two of them do not meet. */
const made = new Map<string, number>()

/** The name of the next lab of this process. @throws BatonError BATON_LAB_NAME */
export function labName(prefix: string): string {
  if (!/^bt[a-z]{0,12}$/.test(prefix))
    throw new BatonError('BATON_LAB_NAME', { detail: `prefix "${prefix}"` })
  const count = (made.get(prefix) ?? 0) + 1
  made.set(prefix, count)
  return `${prefix}${process.pid}${count === 1 ? '' : `-${count}`}`
}

/** @throws BatonError BATON_LAB_NAME */
export function checkHostName(name: string): void {
  if (!/^[a-z][a-z0-9]{0,14}$/.test(name))
    throw new BatonError('BATON_LAB_NAME', { detail: `host "${name}"` })
}

/** Linux takes at most 15 bytes. @throws BatonError BATON_LAB_NAME */
export function checkInterfaceName(name: string): void {
  if (!/^[a-z][a-z0-9-]{0,14}$/.test(name)) {
    throw new BatonError('BATON_LAB_NAME', { detail: `interface "${name}"` })
  }
}

/** The pid in a namespace's name, or undefined when the name is not of this scheme. */
export function ownerPid(namespace: string): number | undefined {
  const match = scheme.exec(namespace)
  return match === null ? undefined : Number(match[2])
}
