import { spawn } from 'node:child_process'
import { createServer } from 'node:net'
import { connect } from 'node:tls'
import { chromiumHello } from './chromium-hello.js'

/** A client's arguments; PORT stands for the port of the server that listens to it. */
type Client = readonly [name: string, args: readonly string[]]

const sClient = (...args: string[]): Client => [
  'openssl',
  ['s_client', '-connect', '127.0.0.1:PORT', ...args],
]
/** OpenSSL gives these versions only without its own minimum of security. */
const weak = ['-cipher', 'ALL:@SECLEVEL=0']
const curl = (...args: string[]): Client => [
  'curl',
  [
    '-sk',
    '--max-time',
    '2',
    '--resolve',
    'curl.example:PORT:127.0.0.1',
    ...args,
    'https://curl.example:PORT/',
  ],
]

export interface Golden {
  readonly what: string
  readonly bytes: Buffer
  readonly sni: string | null
  readonly alpn: readonly string[]
  /** legacy_version */
  readonly version: number
}

/** What real clients of this machine say first, and a browser. */
export async function goldenHellos(): Promise<Golden[]> {
  const programs: [Client, string | null, string[]][] = [
    [sClient('-servername', 'www.example'), 'www.example', []],
    [sClient('-servername', 'WWW.Example', '-alpn', 'h2,http/1.1'), 'www.example', ['h2', 'http/1.1']],
    [sClient('-noservername'), null, []],
    [sClient('-servername', 'old.example', '-tls1_2'), 'old.example', []],
    [sClient('-servername', 'older.example', '-tls1_1', ...weak), 'older.example', []],
    [sClient('-servername', 'oldest.example', '-tls1', ...weak), 'oldest.example', []],
    [sClient('-servername', 'x.example', '-tls1_3', '-groups', 'X25519:P-256:P-521'), 'x.example', []],
    [sClient('-servername', `${'long.'.repeat(49)}example`), `${'long.'.repeat(49)}example`, []],
    [curl('--http2'), 'curl.example', ['h2', 'http/1.1']],
    [curl('--http1.1'), 'curl.example', ['http/1.1']],
  ]
  const found: Golden[] = []
  for (const [[name, args], sni, alpn] of programs) {
    const bytes = await firstBytes((port) => {
      const child = spawn(
        name,
        args.map((word) => word.replaceAll('PORT', String(port))),
        { stdio: 'ignore' },
      )
      return new Promise((resolve, reject) => child.once('exit', () => resolve()).once('error', reject))
    })
    const version = args.includes('-tls1') ? 0x0301 : args.includes('-tls1_1') ? 0x0302 : 0x0303
    found.push({ what: `${name} ${args.join(' ')}`, bytes, sni, alpn, version })
  }
  const node = await firstBytes(async (port) => {
    const socket = connect({ port, servername: 'node.example', ALPNProtocols: ['h2', 'x'] })
    await new Promise<void>((resolve) => socket.once('error', () => resolve()).once('close', () => resolve()))
  })
  found.push({ what: 'node:tls', bytes: node, sni: 'node.example', alpn: ['h2', 'x'], version: 0x0303 })
  const chromium = { sni: 'big.example', alpn: ['h2', 'http/1.1'], version: 0x0303 }
  found.push({ what: 'Chromium', bytes: chromiumHello, ...chromium })
  return found
}

/** What a client sends before it is answered; the server then goes away. */
async function firstBytes(run: (port: number) => Promise<void>): Promise<Buffer> {
  let bytes = Buffer.alloc(0)
  const server = createServer((socket) => {
    socket.on('error', () => socket.destroy())
    socket.on('data', (chunk) => {
      bytes = Buffer.concat([bytes, chunk])
      if (bytes.length >= 5 && bytes.length >= 5 + bytes.readUInt16BE(3)) socket.destroy()
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  await run(address.port)
  await new Promise((resolve) => server.close(resolve))
  return bytes
}

export const record = (fragment: Buffer, version = 0x0301): Buffer => {
  const header = Buffer.from([22, 0, 0, 0, 0])
  header.writeUInt16BE(version, 1)
  header.writeUInt16BE(fragment.length, 3)
  return Buffer.concat([header, fragment])
}

/** A handshake message of that type. */
export const message = (body: Buffer, type = 1): Buffer => {
  const header = Buffer.from([type, 0, 0, 0])
  header.writeUIntBE(body.length, 1, 3)
  return Buffer.concat([header, body])
}

/** The same message in records that end at these offsets of it. */
export function fragmented(hello: Buffer, ends: readonly number[]): Buffer {
  const whole = hello.subarray(5)
  const stops = [...ends.filter((end) => end > 0 && end < whole.length), whole.length]
  return Buffer.concat(stops.map((end, index) => record(whole.subarray(stops[index - 1] ?? 0, end))))
}

/** A vector with a length of 1 or 2 bytes before it. */
export function vector(width: 1 | 2, ...parts: readonly (Buffer | string)[]): Buffer {
  const content = Buffer.concat(
    parts.map((part) => (typeof part === 'string' ? Buffer.from(part, 'latin1') : part)),
  )
  const length = Buffer.alloc(width)
  length.writeUIntBE(content.length, 0, width)
  return Buffer.concat([length, content])
}

export const extension = (type: number, data: Buffer): Buffer =>
  Buffer.concat([Buffer.from([type >> 8, type & 255]), vector(2, data)])

export const serverName = (...names: string[]): Buffer =>
  extension(0, vector(2, ...names.flatMap((name) => [Buffer.from([0]), vector(2, name)])))

export const alpn = (...names: string[]): Buffer =>
  extension(16, vector(2, ...names.map((name) => vector(1, name))))

export interface Parts {
  readonly version?: number
  readonly sessionId?: Buffer
  readonly ciphers?: Buffer
  readonly compressions?: Buffer
  /** Undefined: not even their length. */
  readonly extensions?: readonly Buffer[]
  readonly tail?: Buffer
}

/** The body of a ClientHello, made by hand. */
export function helloBody(parts: Parts): Buffer {
  const version = Buffer.alloc(2)
  version.writeUInt16BE(parts.version ?? 0x0303)
  return Buffer.concat([
    version,
    Buffer.alloc(32, 7),
    vector(1, parts.sessionId ?? Buffer.alloc(0)),
    vector(2, parts.ciphers ?? Buffer.from([0x13, 1])),
    vector(1, parts.compressions ?? Buffer.from([0])),
    ...(parts.extensions === undefined ? [] : [vector(2, ...parts.extensions)]),
    parts.tail ?? Buffer.alloc(0),
  ])
}

export const hello = (parts: Parts): Buffer => record(message(helloBody(parts)))
