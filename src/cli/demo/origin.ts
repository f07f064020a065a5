import { createHash } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'

/** The length after which the demo's bodies repeat: a prime, so that no power-of-two shift goes unnoticed. */
const BLOCK_BYTES = 1_048_573

/** The same pseudo-random bytes in every process (xorshift32 from a fixed seed). */
function makeBlock(): Buffer {
  const block = Buffer.alloc(BLOCK_BYTES)
  let state = 0x9e3779b9
  for (let index = 0; index < BLOCK_BYTES; index++) {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    block[index] = state & 0xff
  }
  return block
}

let shared: Buffer | undefined
const block = (): Buffer => {
  shared ??= makeBlock()
  return shared
}

/** What GET /bytes/N answers, piece by piece. */
export function* bodyOf(bytes: number): Generator<Buffer> {
  const whole = block()
  for (let left = bytes; left > 0; left -= whole.length) {
    yield left >= whole.length ? whole : whole.subarray(0, left)
  }
}

/** The sha256 of what GET /bytes/N answers, in hex. */
export function sha256OfBody(bytes: number): string {
  const hash = createHash('sha256')
  for (const piece of bodyOf(bytes)) hash.update(piece)
  return hash.digest('hex')
}

/** Who answered, and whom it saw. */
export interface WhoAmI {
  readonly backend: string
  readonly client: string
  readonly local: string
  readonly forwardedFor: string | null
  readonly method: string
  readonly url: string
  readonly host: string | null
  /** How many requests this process has answered on this connection, this one included. */
  readonly requestOnConnection: number
}

/**
 * The demo's application, as plain a Node server as there is: it knows nothing of Baton.
 * GET /bytes/N · POST or PUT (sha256 of the body) · anything else: who answered, and whom it saw.
 */
export function createOrigin(name: string): Server {
  const answered = new WeakMap<object, number>()
  return createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
    const count = (answered.get(request.socket) ?? 0) + 1
    answered.set(request.socket, count)
    const size = /^(?:\/[^/?]+)*\/bytes\/(\d{1,11})$/.exec(request.url ?? '')
    if (size !== null && request.method === 'GET') sendBytes(response, Number(size[1]))
    else if (request.method === 'POST' || request.method === 'PUT') sendDigest(name, request, response)
    else sendWhoAmI(name, count, request, response)
  })
}

function sendBytes(response: ServerResponse, bytes: number): void {
  response.writeHead(200, { 'content-type': 'application/octet-stream', 'content-length': bytes })
  const pieces = bodyOf(bytes)
  const pump = () => {
    for (;;) {
      const next = pieces.next()
      if (next.done === true) {
        response.end()
        return
      }
      if (!response.write(next.value)) {
        response.once('drain', pump)
        return
      }
    }
  }
  pump()
}

function sendDigest(name: string, request: IncomingMessage, response: ServerResponse): void {
  const hash = createHash('sha256')
  let bytes = 0
  request.on('data', (chunk: Buffer) => {
    hash.update(chunk)
    bytes += chunk.length
  })
  request.on('end', () => sendJson(response, { backend: name, bytes, sha256: hash.digest('hex') }))
}

function sendWhoAmI(name: string, count: number, request: IncomingMessage, response: ServerResponse): void {
  const { socket } = request
  const forwarded = request.headers['x-forwarded-for']
  const body: WhoAmI = {
    backend: name,
    client: socket.remoteAddress ?? '',
    local: socket.localAddress ?? '',
    forwardedFor: typeof forwarded === 'string' ? forwarded : null,
    method: request.method ?? '',
    url: request.url ?? '',
    host: request.headers.host ?? null,
    requestOnConnection: count,
  }
  sendJson(response, body)
}

function sendJson(response: ServerResponse, value: object): void {
  const text = `${JSON.stringify(value)}\n`
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) })
  response.end(text)
}
