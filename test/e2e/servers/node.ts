import { type Command, program, type Server } from './server.js'

export const node: Server = {
  name: 'node',
  debianPackage: 'nodejs',
  needs: [process.execPath],
  hasOrigin: false,
  backlog: 511,
  prepare: ({ root, port }) => [process.execPath, program('server.mjs'), '::', String(port), root],
}

/** The command of the same program as the origin behind a proxy. */
export const originCommand = (root: string, port: number): Command => [
  process.execPath,
  program('server.mjs'),
  '127.0.0.1',
  String(port),
  root,
]
