import assert from 'node:assert/strict'
import { before, describe, it } from 'node:test'
import { readClientHello } from '../../src/gate/index.js'
import {
  alpn,
  extension,
  fragmented,
  type Golden,
  goldenHellos,
  hello,
  helloBody,
  message,
  record,
  serverName,
  vector,
} from './hellos.js'

const LIMIT = 16_384
const read = (bytes: Buffer, length = bytes.length, limit = LIMIT) => readClientHello(bytes, length, limit)

function accepted(bytes: Buffer, limit = LIMIT) {
  const result = read(bytes, bytes.length, limit)
  if (result.kind !== 'head') assert.fail(`${JSON.stringify(result)} ${bytes.toString('hex')}`)
  return result.head
}

function refused(bytes: Buffer, limit = LIMIT): string {
  const result = read(bytes, bytes.length, limit)
  return result.kind === 'bad' ? result.code.replace('BATON_GATE_TLS_', '') : result.kind
}

describe('ClientHello of real clients', () => {
  let golden: Golden[]
  before(async () => {
    golden = await goldenHellos()
  })

  it('gives name and protocols', () => {
    for (const { what, bytes, sni, alpn: offered, version: said } of golden) {
      const head = accepted(bytes)
      const { version, headBytes, ...rest } = head
      assert.deepEqual(rest, { kind: 'tls', sni, alpn: offered }, what)
      assert.equal(version, said, what)
      assert.equal(headBytes, bytes.length)
    }
  })

  it('is incomplete at every offset before its end, and does not look beyond it', () => {
    for (const { what, bytes } of golden) {
      for (let length = 0; length < bytes.length; length++) {
        assert.equal(read(bytes, length).kind, 'incomplete', `${what} at ${length}`)
      }
      assert.deepEqual(read(Buffer.concat([bytes, Buffer.from('early data')])), read(bytes), what)
    }
  })

  it('means the same in two records split anywhere, and in records of one byte', () => {
    for (const { what, bytes } of golden) {
      const { headBytes, ...whole } = accepted(bytes)
      for (let end = 1; end < headBytes - 5; end++) {
        const split = fragmented(bytes, [end])
        const { headBytes: splitBytes, ...same } = accepted(split)
        assert.deepEqual(same, whole, `${what} split at ${end}`)
        assert.equal(splitBytes, split.length)
        assert.equal(read(split, 5 + end).kind, 'incomplete')
        assert.equal(read(split, split.length - 1).kind, 'incomplete')
      }
      const bytewise = fragmented(
        bytes,
        Array.from({ length: bytes.length }, (_, index) => index),
      )
      assert.equal(accepted(bytewise).sni, whole.sni)
    }
  })
})

describe('ClientHello made by hand', () => {
  it('needs no extensions, as TLS 1.0 had none, and no name', () => {
    const old = hello({ version: 0x0301 })
    const { sni, alpn: offered, version } = accepted(old)
    assert.deepEqual({ sni, offered, version }, { sni: null, offered: [], version: 0x0301 })
    assert.equal(accepted(hello({ extensions: [] })).sni, null)
  })

  it('takes every record version of SSL 3.0 to TLS 1.3, and versions to come', () => {
    for (const version of [0x0300, 0x0301, 0x0302, 0x0303, 0x0304]) {
      const extensions = [serverName('a.example')]
      assert.equal(accepted(record(message(helloBody({ extensions })), version)).sni, 'a.example')
    }
    assert.equal(accepted(hello({ version: 0x0304 })).version, 0x0304)
  })

  it('skips GREASE and what it does not know, wherever it stands', () => {
    const grease = (value: number) => extension(value * 0x0101, Buffer.alloc(1))
    const extensions = [
      grease(0x0a),
      alpn('\x1a\x1a', 'h2'),
      extension(43, vector(1, '\x7a\x7a\x03\x04')),
      serverName('g.example'),
      grease(0xfa),
    ]
    const head = accepted(hello({ ciphers: Buffer.from([0xaa, 0xaa, 0x13, 1]), extensions }))
    assert.equal(head.sni, 'g.example')
    assert.deepEqual(head.alpn, ['\x1a\x1a', 'h2'])
  })

  it('routes Encrypted Client Hello by its outer name', () => {
    const ech = extension(
      0xfe0d,
      Buffer.concat([Buffer.from([0, 0, 1, 0, 1, 5]), vector(2, 'key'), vector(2, 'inner.example')]),
    )
    assert.equal(accepted(hello({ extensions: [ech, serverName('outer.example')] })).sni, 'outer.example')
  })

  it('gives names in lower case without trailing dot', () => {
    assert.equal(accepted(hello({ extensions: [serverName('A.ExAmple.')] })).sni, 'a.example')
    assert.equal(accepted(hello({ extensions: [serverName('a_b.xn--p1ai')] })).sni, 'a_b.xn--p1ai')
  })

  it('refuses names that are none, or more than one', () => {
    for (const name of [
      'a b',
      'a\0.example',
      'ä.example',
      'a..example',
      '.',
      '.a',
      '[::1]',
      '::1',
      'a:443',
      'x'.repeat(256),
    ]) {
      assert.equal(refused(hello({ extensions: [serverName(name)] })), 'PARAMETER', name)
    }
    assert.equal(refused(hello({ extensions: [serverName('a', 'b')] })), 'PARAMETER')
    assert.equal(
      refused(hello({ extensions: [extension(0, vector(2, '\x01', vector(2, 'a')))] })),
      'PARAMETER',
    )
  })

  it('refuses an extension that comes twice, and one after the pre-shared key', () => {
    const name = serverName('a.example')
    assert.equal(refused(hello({ extensions: [name, name] })), 'PARAMETER')
    assert.equal(refused(hello({ extensions: [name, alpn('h2'), serverName('b.example')] })), 'PARAMETER')
    const unknown = extension(0xfff0, Buffer.alloc(0))
    assert.equal(refused(hello({ extensions: [unknown, unknown] })), 'PARAMETER')
    assert.equal(refused(hello({ extensions: [extension(41, Buffer.alloc(4)), name] })), 'PARAMETER')
    assert.equal(accepted(hello({ extensions: [name, extension(41, Buffer.alloc(4))] })).sni, 'a.example')
  })

  it('refuses every length that does not fit', () => {
    const one = Buffer.from([0])
    const cases: Record<string, Buffer> = {
      'no version': record(message(one)),
      'no random': record(message(Buffer.from([3, 3, 1]))),
      'long session id': hello({ sessionId: Buffer.alloc(33) }),
      'odd ciphers': hello({ ciphers: Buffer.alloc(3) }),
      'no ciphers': hello({ ciphers: Buffer.alloc(0) }),
      'no compression': hello({ compressions: Buffer.alloc(0) }),
      'one byte of extensions': hello({ tail: one }),
      'bytes after the extensions': hello({ extensions: [], tail: one }),
      'half an extension': hello({ extensions: [Buffer.from([0, 0, 0])] }),
      'an extension longer than the list': hello({ extensions: [Buffer.from([0, 9, 0, 2, 0])] }),
      'an empty server name extension': hello({ extensions: [extension(0, Buffer.alloc(0))] }),
      'an empty server name list': hello({ extensions: [extension(0, vector(2))] }),
      'an empty server name': hello({ extensions: [serverName('')] }),
      'a server name list that ends early': hello({
        extensions: [extension(0, Buffer.from([0, 5, 0, 0, 1, 97, 0, 0]))],
      }),
      'an empty list of protocols': hello({ extensions: [extension(16, vector(2))] }),
      'an empty protocol': hello({ extensions: [alpn('')] }),
      'a protocol longer than its list': hello({ extensions: [extension(16, vector(2, '\x05h2'))] }),
      'bytes after the protocols': hello({
        extensions: [extension(16, Buffer.concat([vector(2, vector(1, 'h2')), one]))],
      }),
      'an empty message': record(message(Buffer.alloc(0))),
      'a record that goes on after it': record(Buffer.concat([message(helloBody({})), one])),
    }
    for (const [what, bytes] of Object.entries(cases)) assert.equal(refused(bytes), 'HELLO', what)
  })

  it('refuses what is no handshake, as soon as it shows', () => {
    const good = message(helloBody({}))
    assert.equal(refused(Buffer.from('G')), 'RECORD')
    assert.equal(refused(Buffer.from('SSH-2.0-x\r\n')), 'RECORD')
    assert.equal(refused(Buffer.from([22, 2])), 'RECORD')
    assert.equal(refused(Buffer.from([22, 3, 1, 0, 0])), 'RECORD')
    assert.equal(refused(Buffer.from([22, 3, 1, 0x40, 1])), 'RECORD')
    assert.equal(refused(Buffer.from([22, 3, 1, 0, 9, 2])), 'RECORD')
    const alert = Buffer.from([21, 3, 1, 0, 2, 2, 40])
    assert.equal(refused(alert), 'RECORD')
    assert.equal(refused(Buffer.concat([record(good.subarray(0, 10)), alert])), 'RECORD')
  })

  it('tells versions before TLS 1.0 apart', () => {
    assert.equal(refused(hello({ version: 0x0300 })), 'VERSION')
    assert.equal(refused(hello({ version: 0x0200 })), 'VERSION')
    assert.equal(refused(hello({ version: 0xfefd })), 'VERSION')
    assert.equal(refused(Buffer.from([0x80, 0x2e, 1, 3, 1, 0, 0x15])), 'VERSION')
  })

  it('keeps the limit: just fits, one byte more, and declared too large before it is sent', () => {
    const padded = (bytes: number, limit: number) => {
      const frame = hello({ extensions: [serverName('a.example'), extension(21, Buffer.alloc(0))] })
      const padding = extension(21, Buffer.alloc(bytes - frame.length))
      const whole = message(helloBody({ extensions: [serverName('a.example'), padding] }))
      return { whole: record(whole), limit }
    }
    const fits = padded(4096, 4096)
    assert.equal(accepted(fits.whole, 4096).headBytes, 4096)
    const over = padded(4097, 4096)
    assert.equal(refused(over.whole, 4096), 'TOO_LARGE')
    assert.equal(refused(over.whole.subarray(0, 5), 4096), 'TOO_LARGE')
    assert.equal(read(over.whole, 4, 4096).kind, 'incomplete')
    const split = fragmented(over.whole, [10])
    assert.equal(refused(split.subarray(0, 9), 4096), 'TOO_LARGE')
    assert.equal(read(split, 8, 4096).kind, 'incomplete')
    // In records of one byte it is six times as large.
    const many = fragmented(
      padded(1000, 0).whole,
      Array.from({ length: 1000 }, (_, index) => index),
    )
    assert.equal(refused(many, 4096), 'TOO_LARGE')
    assert.equal(refused(many.subarray(0, 4096), 4096), 'TOO_LARGE')
  })

  it('takes 64 KiB and never more, whatever the limit', () => {
    const large = (bytes: number) => {
      const padding = [30_000, bytes - 30_000].map((length, index) =>
        extension(100 + index, Buffer.alloc(length)),
      )
      const whole = message(helloBody({ extensions: [...padding, serverName('far.example')] }))
      const records = Array.from({ length: Math.ceil(whole.length / 16_384) }, (_, index) =>
        record(whole.subarray(index * 16_384, (index + 1) * 16_384)),
      )
      return Buffer.concat(records)
    }
    const overhead = large(60_000).length - 60_000
    assert.equal(accepted(large(65_536 - overhead), 262_144).sni, 'far.example')
    assert.equal(refused(large(65_537 - overhead), 262_144), 'TOO_LARGE')
  })
})
