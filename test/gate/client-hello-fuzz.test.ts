import assert from 'node:assert/strict'
import { Duplex } from 'node:stream'
import { before, describe, it } from 'node:test'
import { TLSSocket } from 'node:tls'
import { type ClientHello, readClientHello } from '../../src/gate/index.js'
import { alpn, extension, fragmented, goldenHellos, hello, message, record, serverName } from './hellos.js'
import { Random } from './mutate.js'

const rounds = 400_000
const asked = 400
const codes = new Set(
  ['RECORD', 'VERSION', 'HELLO', 'PARAMETER', 'TOO_LARGE'].map((code) => `BATON_GATE_TLS_${code}`),
)

/** One to four random changes of bytes; then, mostly, the outer lengths are made to fit again. */
function mutate(random: Random, hellos: readonly Buffer[]): Buffer {
  let body = Buffer.from(random.pick(hellos).subarray(9))
  for (let change = random.below(4); change >= 0; change--) {
    const at = random.below(body.length)
    const rest = body.subarray(at)
    switch (random.below(6)) {
      case 0:
        body[at] = random.below(256)
        break
      case 1:
        body[at] = (body[at] ?? 0) + (random.below(2) === 0 ? 1 : 255)
        break
      case 2:
        body = Buffer.concat([body.subarray(0, at), rest.subarray(1 + random.below(4))])
        break
      case 3:
        body = Buffer.concat([body.subarray(0, at), Buffer.from([random.below(256)]), rest])
        break
      case 4: {
        const other = random.pick(hellos)
        body = Buffer.concat([body.subarray(0, at), other.subarray(9 + random.below(other.length - 9))])
        break
      }
      default:
        body = Buffer.concat([
          body,
          random.pick([serverName('evil.example'), alpn('evil'), extension(9, body)]),
        ])
    }
  }
  if (random.below(4) > 0) fitExtensions(body)
  const bytes = record(message(body))
  if (random.below(8) === 0) bytes[random.below(Math.min(9, bytes.length))] = random.below(256)
  return random.below(8) === 0 && body.length > 8 ? fragmented(bytes, [random.below(body.length)]) : bytes
}

/** Makes the length of the extensions what is left of the body, where one can be found. */
function fitExtensions(body: Buffer): void {
  let at = 34
  at += 1 + (body[at] ?? 0)
  if (at + 2 > body.length) return
  at += 2 + body.readUInt16BE(at)
  at += 1 + (body[at] ?? 0)
  if (at + 2 <= body.length) body.writeUInt16BE(body.length - at - 2, at)
}

/** Name and protocols as OpenSSL, in a server of Node, sees them; undefined when it refuses before it asks for them. */
function openssl(bytes: Buffer): Promise<{ sni: string | null; alpn: string[] | null } | undefined> {
  return new Promise((resolve) => {
    const wire = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() })
    let sni: string | null = null
    const socket = new TLSSocket(wire, {
      isServer: true,
      SNICallback: (name, done) => {
        sni = name
        done(null)
      },
      ALPNCallback: ({ servername, protocols }) => {
        settle({ sni: servername || null, alpn: protocols })
        return undefined
      },
    })
    const settle = (seen: { sni: string | null; alpn: string[] | null } | undefined) => {
      resolve(seen)
      wire.destroy()
      socket.destroy()
    }
    // It has no certificate: without protocols that is as far as it gets.
    socket.on('error', () => settle(sni === null ? undefined : { sni, alpn: null }))
    wire.on('error', () => settle(undefined))
    wire.push(bytes)
    wire.push(null)
  })
}

describe('ClientHello, mutated', () => {
  let hellos: Buffer[]
  before(async () => {
    const byHand = hello({
      extensions: [serverName('hand.example'), alpn('h2', 'http/1.1'), extension(41, Buffer.alloc(9))],
    })
    hellos = [...(await goldenHellos()).map(({ bytes }) => bytes), byHand, hello({ version: 0x0301 })]
  })

  it(`never fails on ${rounds} hellos, and what it takes has one meaning`, async () => {
    const random = new Random(20_261_123)
    const counts = { head: 0, bad: 0, incomplete: 0 }
    const taken: { bytes: Buffer; head: ClientHello }[] = []
    for (let round = 0; round < rounds; round++) {
      const bytes = mutate(random, hellos)
      const result = readClientHello(bytes, bytes.length, 4096)
      counts[result.kind]++
      if (result.kind === 'bad') assert.ok(codes.has(result.code), result.code)
      if (result.kind !== 'head') continue
      const { head } = result
      const label = bytes.toString('hex')
      assert.ok(head.headBytes <= bytes.length, label)
      assert.equal(readClientHello(bytes, head.headBytes - 1, 4096).kind, 'incomplete', label)
      if (head.sni !== null || head.alpn.length > 0) taken.push({ bytes, head })
    }
    assert.ok(
      counts.head > rounds / 50 && counts.bad > rounds / 4 && counts.incomplete > rounds / 400,
      JSON.stringify(counts),
    )
    let same = 0
    for (let index = 0; index < asked; index++) {
      const { bytes, head } = random.pick(taken)
      const seen = await openssl(bytes)
      if (seen === undefined) continue
      assert.equal(head.sni, seen.sni?.toLowerCase().replace(/\.$/, '') ?? null, bytes.toString('hex'))
      // Node gives protocols in seven bits.
      const offered = head.alpn.map((name) => Buffer.from(name, 'latin1').toString('ascii'))
      if (seen.alpn !== null) assert.deepEqual(offered, seen.alpn, bytes.toString('hex'))
      same++
    }
    assert.ok(same > asked / 10, `OpenSSL was asked ${asked} times and answered ${same}`)
  })
})
