import assert from 'node:assert/strict'
import { readdirSync, statSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { after } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { Agent, AgentOptions } from '../../src/backend-agent/index.js'
import { Client } from './session-harness.js'
import { Front, type FrontOptions, type Stage, vip4, vip6 } from './stage.js'

export const request = 'GET / HTTP/1.1\r\nHost: a.example\r\n\r\n'
export const adopted = { kind: 'adopted' } as const
export const cli = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url))

/** A server of plain bytes on the back host, and the sockets that it has accepted. */
export async function application(onSocket: (socket: Socket) => void) {
  const sockets: Socket[] = []
  const server = createServer({ pauseOnConnect: true, allowHalfOpen: true }, (socket) => {
    sockets.push(socket)
    socket.on('error', () => undefined)
    onSocket(socket)
  })
  await new Promise<void>((resolve) => server.listen({ port: 0, host: '127.0.0.1' }, resolve))
  after(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return { port: (server.address() as AddressInfo).port, sockets }
}

export const echo = (socket: Socket) => socket.pipe(socket)

export const adopting = (id: string, port: number): Partial<AgentOptions> => ({
  id,
  deliver: { kind: 'adopt', address: `127.0.0.1:${port}`, session: 'connection' },
})

export async function frontOf(
  stage: Stage,
  agent: Pick<Agent, 'address'>,
  options: FrontOptions = {},
): Promise<Front> {
  const front = new Front(stage, agent, options)
  await front.up()
  return front
}

export async function handedOver(stage: Stage, front: Front, first = request): Promise<Client> {
  stage.steer('front')
  const client = new Client(stage.connect(front.port))
  client.send(first)
  assert.deepEqual(await front.handOver(await front.arrival()), adopted)
  return client
}

/** What an agent of that id has pinned for this host. */
export function pinsOf(id: string): string[] {
  const host = statSync('/proc/thread-self/ns/net').ino
  return readdirSync('/sys/fs/bpf').filter((name) => name === `baton-adopt-${id}-${host}`)
}

/** The agent.yaml of an agent that listens at {@link fileAddress}. */
export function agentFile(stage: Stage, id: string, deliver: object): string {
  const file = join(stage.folder, `${id}.yaml`)
  const { address, port } = fileAddress
  const control = { address: `${address}:${port}`, tokenFile: join(stage.folder, 'token') }
  const admin = { address: '127.0.0.1:0' }
  const settings = {
    id,
    pools: ['own'],
    vips: [vip4, vip6],
    control,
    deliver,
    admin,
    registry: { kind: 'memory' },
  }
  writeFileSync(file, JSON.stringify(settings))
  return file
}

export const fileAddress = { address: '10.2.0.2', port: 7400 }
