import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { freeze, thaw } from '../../repair/index.js'
import { reason } from './finding.js'

export type Trial = { readonly ok: true } | { readonly ok: false; readonly why: string }

/** Freezes and thaws one end of a real loopback connection, and sees that a byte still comes through. */
export async function tryRepair(): Promise<Trial> {
  const server = createServer()
  let client: Socket | undefined
  let accepted: Socket | undefined
  try {
    const incoming = once(server, 'connection') as Promise<[Socket]>
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const address = server.address()
    if (address === null || typeof address === 'string') return { ok: false, why: 'loopback gave no port' }
    client = connect(address.port, '127.0.0.1')
    const signal = AbortSignal.timeout(3000)
    const [, [socket]] = await Promise.all([once(client, 'connect', { signal }), incoming])
    accepted = socket
    const fd = descriptor(socket)
    freeze(fd)
    thaw(fd)
    client.write('!')
    const [data] = (await once(socket, 'data', { signal })) as [Buffer]
    return data.toString() === '!'
      ? { ok: true }
      : { ok: false, why: 'the connection carried other bytes afterwards' }
  } catch (error) {
    return { ok: false, why: reason(error) }
  } finally {
    client?.destroy()
    accepted?.destroy()
    server.close()
  }
}

/** The descriptor of a socket of Node's own, which net.Socket does not show by its type. */
function descriptor(socket: Socket): number {
  const handle: unknown = Reflect.get(socket, '_handle')
  const fd: unknown = typeof handle === 'object' && handle !== null ? Reflect.get(handle, 'fd') : undefined
  if (typeof fd === 'number' && fd >= 0) return fd
  throw new TypeError('this Node does not tell the descriptor of a socket')
}
