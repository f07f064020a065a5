import http, { type RequestListener } from 'node:http'
import net from 'node:net'
import { after } from 'node:test'
import { Relay, type RelayOptions, type RelayResult } from '../../src/relay/index.js'

/** Starts a server on a port of its own on loopback. @returns `127.0.0.1:port` */
export function listen(server: net.Server): Promise<string> {
  const open = new Set<net.Socket>()
  server.on('connection', (socket: net.Socket) => {
    open.add(socket)
    socket.on('close', () => open.delete(socket))
  })
  after(() => {
    server.close()
    for (const socket of open) socket.destroy()
  })
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve(`127.0.0.1:${(server.address() as net.AddressInfo).port}`))
  })
}

export function httpServer(listener: RequestListener): Promise<string> {
  return listen(http.createServer(listener))
}

export interface Front {
  readonly port: number
  readonly results: RelayResult[]
}

/** An HTTP server that relays everything to `targets`. */
export async function relayTo(targets: string[], options: RelayOptions = {}): Promise<Front> {
  const relay = new Relay(options)
  const results: RelayResult[] = []
  const server = http.createServer(async (request, response) => {
    results.push(await relay.request(request, response, targets))
  })
  server.on('checkContinue', async (request, response) => {
    results.push(await relay.request(request, response, targets, { expectsContinue: true }))
  })
  server.on('upgrade', async (request, socket, head) => {
    results.push(await relay.upgrade(request, socket, head, targets))
  })
  const address = await listen(server)
  after(() => relay.destroy())
  return { port: Number(address.split(':')[1]), results }
}

/** Sends `text` on a fresh connection and gives everything that came until the end. `cut`: it ended by an error. */
export function exchange(
  port: number,
  text: string | Buffer,
  onData?: (socket: net.Socket, all: string) => void,
): Promise<{ text: string; cut: boolean }> {
  return new Promise((resolve) => {
    const socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true })
    const chunks: Buffer[] = []
    const all = () => Buffer.concat(chunks).toString('latin1')
    socket.on('data', (chunk) => {
      chunks.push(chunk)
      onData?.(socket, all())
    })
    socket.on('end', () => {
      socket.end()
      resolve({ text: all(), cut: false })
    })
    socket.on('error', () => resolve({ text: all(), cut: true }))
    socket.write(text)
  })
}

/** Waits until `check` holds. @throws after a generous while */
export async function until(check: () => boolean, what: string): Promise<void> {
  for (let turn = 0; turn < 1000; turn++) {
    if (check()) return
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  throw new Error(`never happened: ${what}`)
}
