import { execFile } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { packageRoot } from '../../../src/kernel/native.js'
import { program, type Server } from './server.js'

/** net/http in a static executable: no libc, no loader, nothing that a library could be put into. */
export const go: Server = {
  name: 'go',
  debianPackage: 'golang-go',
  needs: ['go'],
  hasOrigin: false,
  backlog: 4096,
  prepare: async ({ root, port }) => [await build(), String(port), root],
}

/** The standard library without cgo takes seconds to compile: the compiler's cache is kept beside our own output. */
async function build(): Promise<string> {
  const folder = join(packageRoot, 'dist/go')
  mkdirSync(folder, { recursive: true })
  const executable = join(folder, 'server')
  await promisify(execFile)('go', ['build', '-o', executable, program('server.go')], {
    env: {
      ...process.env,
      CGO_ENABLED: '0',
      GOCACHE: join(folder, 'cache'),
      GOPATH: join(folder, 'path'),
      GOFLAGS: '',
      GOPROXY: 'off',
    },
  })
  return executable
}
