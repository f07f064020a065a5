import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fastify, { type FastifyInstance } from 'fastify'
import type { BatonError } from '../../src/errors/index.js'
import {
  type AgentLink,
  attachChannelServer,
  type Channel,
  type ControlAuth,
  controlServerTls,
  dialAgent,
  type Hello,
  type Message,
} from '../../src/handoff/index.js'
import { hello } from './fixtures.js'

export const token: ControlAuth = { kind: 'token', token: 'loopback-secret-loopback-secret-0' }

export const frontendHello: Hello = {
  ...hello,
  role: 'frontend',
  id: 'f1',
  epoch: 100,
  steerTo: { ipv4: null, ipv6: null },
  pools: [],
}

/** Waits until `done` holds, looking often; fails loudly after 10 s. */
export async function until(what: string, done: () => boolean, limitMs = 10_000): Promise<void> {
  const give = performance.now() + limitMs
  while (!done()) {
    if (performance.now() > give) throw new Error(`still waiting for: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

export interface Agent {
  readonly server: FastifyInstance
  readonly port: number
  readonly channels: Channel[]
  readonly refused: BatonError[]
  stop(): Promise<void>
}

/** An agent's control server on loopback. */
export async function startAgent(options: {
  readonly auth?: ControlAuth
  readonly port?: number
  readonly hello?: Partial<Hello>
  onChannel?(channel: Channel): void
}): Promise<Agent> {
  const auth = options.auth ?? token
  const https = controlServerTls(auth)
  const server = (https === null ? fastify() : fastify({ https })) as FastifyInstance
  const channels: Channel[] = []
  const refused: BatonError[] = []
  attachChannelServer(server, {
    auth,
    hello: () => ({ ...hello, ...options.hello }),
    onChannel(channel) {
      channels.push(channel)
      channel.onMessage = () => {}
      options.onChannel?.(channel)
    },
    onRefused: (error) => refused.push(error),
  })
  await server.listen({ host: '127.0.0.1', port: options.port ?? 0 })
  const address = server.server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return { server, port: address.port, channels, refused, stop: () => server.close() }
}

export interface Frontend {
  readonly link: AgentLink
  readonly ups: Channel[]
  readonly downs: { readonly error: BatonError; readonly channel: Channel | undefined }[]
  readonly messages: Message[]
}

export function dial(
  port: number,
  options: {
    readonly auth?: ControlAuth
    readonly hello?: Partial<Hello>
    onUp?(channel: Channel): void
    onDown?(error: BatonError, channel: Channel | undefined): void
    onMessage?(channel: Channel, message: Message): void
  } = {},
): Frontend {
  const ups: Channel[] = []
  const downs: Frontend['downs'] = []
  const messages: Message[] = []
  const link = dialAgent({
    address: { address: '127.0.0.1', port },
    auth: options.auth ?? token,
    hello: { ...frontendHello, ...options.hello },
    onUp(channel) {
      ups.push(channel)
      options.onUp?.(channel)
    },
    onDown(error, channel) {
      downs.push({ error, channel })
      options.onDown?.(error, channel)
    },
    onMessage(channel, message) {
      messages.push(message)
      options.onMessage?.(channel, message)
    },
  })
  return { link, ups, downs, messages }
}

export interface Certificates {
  /** Signed by one CA. */
  readonly agent: ControlAuth
  readonly frontend: ControlAuth
  /** Signed by another CA; trusts the agent's. */
  readonly stranger: ControlAuth
  remove(): void
}

/** Two CAs and three certificates made by the openssl command. */
export function makeCertificates(): Certificates {
  const folder = mkdtempSync(join(tmpdir(), 'baton-handoff-'))
  const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' })
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  for (const ca of ['ca', 'other']) {
    openssl(
      'req',
      '-x509',
      ...key,
      '-keyout',
      `${ca}.key`,
      '-out',
      `${ca}.pem`,
      '-subj',
      `/CN=${ca}`,
      '-days',
      '2',
    )
  }
  const issue = (name: string, ca: string) => {
    openssl(
      'req',
      ...key,
      '-keyout',
      `${name}.key`,
      '-out',
      `${name}.csr`,
      '-subj',
      `/CN=${name}`,
      '-addext',
      'subjectAltName=IP:127.0.0.1',
    )
    openssl(
      'x509',
      '-req',
      '-in',
      `${name}.csr`,
      '-CA',
      `${ca}.pem`,
      '-CAkey',
      `${ca}.key`,
      '-CAcreateserial',
      '-days',
      '2',
      '-copy_extensions',
      'copy',
      '-out',
      `${name}.pem`,
    )
  }
  issue('agent', 'ca')
  issue('frontend', 'ca')
  issue('stranger', 'other')
  const read = (name: string) => readFileSync(join(folder, name), 'utf8')
  const auth = (name: string): ControlAuth => ({
    kind: 'tls',
    cert: read(`${name}.pem`),
    key: read(`${name}.key`),
    ca: read('ca.pem'),
  })
  return {
    agent: auth('agent'),
    frontend: auth('frontend'),
    stranger: auth('stranger'),
    remove: () => rmSync(folder, { recursive: true }),
  }
}
