import { fileURLToPath } from 'node:url'
import { nodeOptions } from '../../src/lab/index.js'
import type { Get } from '../client/index.js'
import type { Field } from '../peers/field.js'
import { objectPath, type PeerName } from '../peers/peer.js'

const application = fileURLToPath(new URL('../../src/cli/demo/origin-main.js', import.meta.url))
const NODE_PORT = 8081

/** Who answers: nginx, or a Node server, which baton-inline is by definition. */
export type Application = 'nginx' | 'node'

/** A way to one of the two applications; what it adds is what it takes longer than the direct way to the same. */
export interface Way {
  readonly name: PeerName | 'direct-node' | 'direct-forwarded'
  readonly title: string
  readonly application: Application
  readonly get: Get
}

export const directTo = { nginx: 'direct', node: 'direct-node' } as const

/** Starts a plain Node server beside the inline agent, the same program. */
export async function startNode(field: Field): Promise<void> {
  const host = field.peer('baton-inline').backends[0]!
  const args = [...nodeOptions, application, '--listen', `${host.ipv4}:${NODE_PORT}`]
  await field.start('node', host, process.execPath, args).waitFor({ port: NODE_PORT })
}

/** The field's peers, and the plain Node server. @param bytes of the answer */
export function waysOf(field: Field, bytes: number): readonly Way[] {
  const path = objectPath(bytes)
  const ways = field.peers.map(({ name, title, targets }): Way => {
    const application = name === 'baton-inline' ? 'node' : 'nginx'
    return { name, title, application, get: { ...targets[0]!, path } }
  })
  const { ipv4 } = field.peer('baton-inline').backends[0]!
  const get = { address: ipv4, port: NODE_PORT, host: 'www.example', path }
  return [...ways, { name: 'direct-node', title: 'direct, to Node', application: 'node', get }]
}
