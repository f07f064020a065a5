import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { packageRoot } from '../../src/kernel/native.js'
import type { PeerName } from './peer.js'

/** The first number with dots of what a program says of itself. @throws Error when there is no such program */
function versionOf(command: string, argument: string): string {
  const done = spawnSync(command, [argument], { encoding: 'utf8' })
  if (done.error) throw new Error(`${command} is missing: bash deploy/setup.sh bench`, { cause: done.error })
  return /\d+(?:\.\d+)+/.exec(`${done.stdout}${done.stderr}`)?.[0] ?? 'unknown'
}

interface Manifest {
  readonly name?: string
  readonly version?: string
}

const manifestAt = (folder: string): Manifest =>
  JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Manifest

function packageVersion(name: string): string {
  const require = createRequire(join(packageRoot, 'package.json'))
  for (let folder = dirname(require.resolve(name)); folder !== dirname(folder); folder = dirname(folder)) {
    try {
      const { name: found, version } = manifestAt(folder)
      if (found === name) return version ?? 'unknown'
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error
    }
  }
  throw new Error(`the package ${name} is missing`)
}

/** Of everything that is compared. @throws Error when a peer is not installed */
export function versions() {
  return {
    baton: manifestAt(packageRoot).version ?? 'unknown',
    haproxy: versionOf('haproxy', '-v'),
    nginx: versionOf('nginx', '-v'),
    'http-proxy': packageVersion('http-proxy'),
    '@fastify/http-proxy': packageVersion('@fastify/http-proxy'),
    node: process.version.slice(1),
  }
}
export type Versions = ReturnType<typeof versions>

/** What tables and plots call a peer, with its version. */
export function titleOf(name: PeerName, found: Versions): string {
  switch (name) {
    case 'direct':
      return 'direct'
    case 'haproxy':
      return `HAProxy ${found.haproxy}`
    case 'haproxy-splice':
      return `HAProxy ${found.haproxy}, forced splice`
    case 'nginx':
      return `nginx ${found.nginx}`
    case 'http-proxy':
      return `http-proxy ${found['http-proxy']}`
    case 'fastify':
      return `@fastify/http-proxy ${found['@fastify/http-proxy']}`
    case 'baton-adopt':
      return 'Baton, adopt'
    case 'baton-inline':
      return 'Baton, inline'
    case 'baton-http':
      return 'Baton, http'
    default:
      return name satisfies never
  }
}
