import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { packageRoot } from '../../../src/kernel/native.js'

/** Where a server runs and what it serves. */
export interface Place {
  /** For its configuration, logs and sockets; every user may read it. */
  readonly folder: string
  /** The files that it serves. */
  readonly root: string
  /** Every address of the host, both families. */
  readonly port: number
  /** Port on 127.0.0.1 of the program that a proxy passes requests on to. */
  readonly originPort: number
}

/**
 * An HTTP server as people run it: its own program, unmodified, with a plain configuration. It serves the files of its
 * root, answers GET /who with the client's address as its own socket says it, and POST /digest with the body's sha256.
 */
export interface Server {
  readonly name: string
  /** What a fresh machine lacks if {@link missing} says so. */
  readonly debianPackage: string
  /** Commands by name and files by path that it needs. */
  readonly needs: readonly string[]
  /** It passes /digest on to the origin on its host: the program alone cannot reckon a digest. */
  readonly hasOrigin: boolean
  /** Connections that may wait to be accepted; as many clients come at once. */
  readonly backlog: number
  /** Writes what it needs, and gives the command that runs it in the foreground. */
  prepare(place: Place): Command | Promise<Command>
}

export type Command = readonly [program: string, ...args: string[]]

/** Why the server cannot be run on this machine, as one sentence; undefined when it can. */
export function missing({ name, debianPackage, needs }: Server): string | undefined {
  const lacking = needs.filter((need) => !isThere(need))
  if (lacking.length === 0) return undefined
  return `${name} is not here: no ${lacking.join(', no ')} (Debian package ${debianPackage})`
}

function isThere(need: string): boolean {
  if (need.startsWith('/')) return existsSync(need)
  return (process.env.PATH ?? '').split(delimiter).some((folder) => existsSync(join(folder, need)))
}

/** The source of one of the servers that are programs of ours on somebody's HTTP library. */
export const program = (name: string): string => join(packageRoot, 'test/e2e/servers/programs', name)
