import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { endpointText, parseFlowKey } from '../../src/kernel/flow.js'
import { crc32c } from '../../src/proxy-protocol/crc32c.js'
import { readProxyHeader, writeProxyHeader } from '../../src/proxy-protocol/index.js'
import { block, checked, ipv4Addresses, ipv6Addresses, signature, tlv } from './headers.js'

const read = (bytes: Buffer, maxBytes = 4096) => readProxyHeader(bytes, bytes.length, maxBytes)

/** `CLIENT > DESTINATION` of a header, or null where it claims nothing. @throws when it is none */
function claims(bytes: Buffer): string | null {
  const result = read(bytes)
  if (result.kind !== 'header') throw new Error(JSON.stringify(result))
  const { headerBytes, claimed } = result.header
  assert.equal(headerBytes, bytes.length)
  if (claimed === null) return null
  const { client, vip } = parseFlowKey(claimed)
  return `${endpointText(client)} > ${endpointText(vip)}`
}

const line = (text: string) => Buffer.from(`${text}\r\n`, 'latin1')

const ipv4 = '192.0.2.1:56324 > 10.0.0.100:443'
const ipv6 = '[2001:db8::1]:56324 > [fd00::100]:443'

const good: Readonly<Record<string, readonly [Buffer, string | null]>> = {
  'v1, TCP4': [line('PROXY TCP4 192.0.2.1 10.0.0.100 56324 443'), ipv4],
  'v1, TCP6': [line('PROXY TCP6 2001:db8::1 fd00::100 56324 443'), ipv6],
  'v1, port 0 and 65535': [line('PROXY TCP4 192.0.2.1 10.0.0.100 0 65535'), '192.0.2.1:0 > 10.0.0.100:65535'],
  'v1, UNKNOWN': [line('PROXY UNKNOWN'), null],
  'v1, UNKNOWN and anything': [line(`PROXY UNKNOWN ${'f'.repeat(91)}`), null],
  'v2, TCP over IPv4': [block(0x21, 0x11, ipv4Addresses), ipv4],
  'v2, TCP over IPv6': [block(0x21, 0x21, ipv6Addresses), ipv6],
  'v2, TLVs': [block(0x21, 0x11, ipv4Addresses, tlv(2, 'a.example'), tlv(4, ''), tlv(0xea, 'vpce')), ipv4],
  'v2, checksum': [checked(0x21, 0x21, ipv6Addresses, tlv(5, 'u'.repeat(128))), ipv6],
  'v2, LOCAL': [block(0x20, 0x00), null],
  'v2, LOCAL with what is to be thrown away': [block(0x20, 0x11, Buffer.from('whatever')), null],
  'v2, LOCAL with addresses': [block(0x20, 0x11, ipv4Addresses), null],
  'v2, UNSPEC': [block(0x21, 0x00), null],
  'v2, UNSPEC with a checksum': [checked(0x21, 0x00), null],
  'v2, UDP over IPv4': [block(0x21, 0x12, ipv4Addresses), null],
  'v2, UNIX': [block(0x21, 0x31, Buffer.alloc(216, '/run/a\0')), null],
  'v2, UNIX with TLVs': [block(0x21, 0x32, Buffer.alloc(216), tlv(4, 'x')), null],
}

/** A checksum that fits the header but for one bit of the client's address. */
function spoilt(): Buffer {
  const header = checked(0x21, 0x11, ipv4Addresses)
  header[16]! ^= 1
  return header
}

const wrong: Readonly<Record<string, readonly [Buffer, code: string, detail: RegExp]>> = {
  'a request': [Buffer.from('GET / HTTP/1.1\r\n\r\n'), 'MISSING', /^$/],
  'a first byte of TLS': [Buffer.from([22]), 'MISSING', /^$/],
  'a signature that breaks off': [Buffer.from('0d0a0d0a01', 'hex'), 'MISSING', /^$/],
  'lower case': [line('proxy TCP4 192.0.2.1 10.0.0.100 1 2'), 'MISSING', /^$/],
  'no space': [line('PROXYTCP4'), 'MISSING', /^$/],
  'another family': [line('PROXY TCP5 192.0.2.1 10.0.0.100 1 2'), 'V1', /neither TCP4/],
  'UNKNOWN and more': [line('PROXY UNKNOWNS'), 'V1', /neither TCP4/],
  'two spaces': [line('PROXY TCP4  192.0.2.1 10.0.0.100 1 2'), 'V1', /addresses/],
  'a space at the end': [line('PROXY TCP4 192.0.2.1 10.0.0.100 1 2 '), 'V1', /ports/],
  'a leading zero in an address': [line('PROXY TCP4 192.0.2.01 10.0.0.100 1 2'), 'V1', /addresses/],
  'IPv6 in TCP4': [line('PROXY TCP4 ::1 ::1 1 2'), 'V1', /addresses/],
  'IPv4 in TCP6': [line('PROXY TCP6 192.0.2.1 10.0.0.100 1 2'), 'V1', /addresses/],
  'a zone': [line('PROXY TCP6 fe80::1%eth0 fd00::1 1 2'), 'V1', /addresses/],
  'a name': [line('PROXY TCP4 localhost 10.0.0.100 1 2'), 'V1', /addresses/],
  'one port': [line('PROXY TCP4 192.0.2.1 10.0.0.100 1'), 'V1', /ports/],
  'a port with a sign': [line('PROXY TCP4 192.0.2.1 10.0.0.100 +1 2'), 'V1', /ports/],
  'a port with a leading zero': [line('PROXY TCP4 192.0.2.1 10.0.0.100 01 2'), 'V1', /ports/],
  'a port that is too high': [line('PROXY TCP4 192.0.2.1 10.0.0.100 1 65536'), 'V1', /ports/],
  'a bare LF': [Buffer.from('PROXY UNKNOWN\n'), 'V1', /neither visible/],
  'a bare CR': [Buffer.from('PROXY UNKNOWN\rX'), 'V1', /CRLF/],
  'a NUL': [Buffer.from('PROXY UNKNOWN\0\r\n'), 'V1', /neither visible/],
  'a byte above 126': [line('PROXY UNKNOWN \xff'), 'V1', /neither visible/],
  'a line of 108 bytes': [line(`PROXY UNKNOWN ${'f'.repeat(92)}`), 'V1', /within 107/],
  '107 bytes without an end': [Buffer.from(`PROXY UNKNOWN ${'f'.repeat(93)}`), 'V1', /within 107/],
  'version 1 in version 2': [block(0x11, 0x11, ipv4Addresses), 'V2', /0x11/],
  'an unknown command': [block(0x22, 0x11, ipv4Addresses), 'V2', /0x22/],
  'an unknown family': [block(0x21, 0x41, ipv4Addresses), 'V2', /0x41/],
  'an unknown transport': [block(0x21, 0x13, ipv4Addresses), 'V2', /0x13/],
  'addresses cut off': [block(0x21, 0x11, ipv4Addresses.subarray(1)), 'V2', /addresses/],
  'IPv6 addresses cut off': [block(0x21, 0x21, ipv4Addresses), 'V2', /addresses/],
  'UNIX addresses cut off': [block(0x21, 0x31, Buffer.alloc(215)), 'V2', /addresses/],
  'a TLV cut off in its head': [block(0x21, 0x11, ipv4Addresses, Buffer.from([4, 0])), 'V2', /A TLV is cut/],
  'a TLV cut off in its value': [block(0x21, 0x11, ipv4Addresses, Buffer.from([4, 0, 2, 1])), 'V2', /type 4/],
  'a short checksum': [block(0x21, 0x11, ipv4Addresses, tlv(3, 'abc')), 'V2', /checksum has 3/],
  'two checksums': [block(0x21, 0x11, ipv4Addresses, tlv(3, 'abcd'), tlv(3, 'abcd')), 'V2', /two/],
  'a unique id of 129 bytes': [block(0x21, 0x11, ipv4Addresses, tlv(5, 'u'.repeat(129))), 'V2', /unique/],
  'a wrong checksum': [spoilt(), 'CHECKSUM', /^$/],
  'a block of 4097 bytes': [
    block(0x21, 0x11, Buffer.alloc(4081)),
    'TOO_LARGE',
    /4097 bytes, the limit is 4096/,
  ],
}

describe('PROXY protocol headers', () => {
  for (const [name, [bytes, expected]] of Object.entries(good)) {
    test(`${name}: taken`, () => assert.equal(claims(bytes), expected))
  }

  for (const [name, [bytes, code, detail]] of Object.entries(wrong)) {
    test(`${name}: refused`, () => {
      const result = read(bytes)
      assert.equal(result.kind, 'bad')
      if (result.kind !== 'bad') return
      assert.equal(result.code, `BATON_PROXY_${code}`)
      assert.match(result.detail, detail)
    })
  }

  test('split anywhere they are waited for, and what follows is left alone', () => {
    for (const [name, [bytes]] of Object.entries(good)) {
      for (let length = 0; length < bytes.length; length++) {
        assert.equal(readProxyHeader(bytes, length, 4096).kind, 'incomplete', `${name}, ${length} bytes`)
      }
      const whole = read(bytes)
      for (const more of ['G', 'PROXY TCP4 1.2.3.4 1.2.3.4 1 1\r\n', '\r\n']) {
        assert.deepEqual(read(Buffer.concat([bytes, Buffer.from(more)])), whole, name)
      }
    }
  })

  test('what is wrong stays wrong, however much more comes', () => {
    for (const [name, [bytes]] of Object.entries(wrong)) {
      assert.equal(read(Buffer.concat([bytes, Buffer.alloc(4096, 'x')])).kind, 'bad', name)
    }
  })

  test('a smaller limit holds', () => {
    const bytes = block(0x21, 0x11, ipv4Addresses, tlv(4, 'x'.repeat(300)))
    assert.equal(read(bytes, 256).kind, 'bad')
    assert.equal(read(bytes, bytes.length).kind, 'header')
  })

  test('what is written is what is read', () => {
    for (const version of ['v1', 'v2'] as const) {
      for (const bytes of [ipv4, ipv6].map(
        (text) => Object.values(good).find(([, claim]) => claim === text)![0],
      )) {
        const first = read(bytes)
        assert.ok(first.kind === 'header' && first.header.claimed !== null)
        const written = writeProxyHeader(version, first.header.claimed)
        const again = read(written)
        assert.ok(again.kind === 'header')
        assert.deepEqual(again.header.claimed, first.header.claimed)
      }
    }
    const header = read(good['v2, TCP over IPv4']![0])
    assert.ok(header.kind === 'header' && header.header.claimed !== null)
    assert.deepEqual(writeProxyHeader('v2', header.header.claimed), good['v2, TCP over IPv4']![0])
    assert.deepEqual(writeProxyHeader('v1', header.header.claimed), good['v1, TCP4']![0])
  })

  test('one mapped address beside a real one stays IPv6 on the wire', () => {
    const mixed = read(line('PROXY TCP6 ::ffff:192.0.2.1 fd00::100 1 2'))
    assert.ok(mixed.kind === 'header' && mixed.header.claimed !== null)
    for (const version of ['v1', 'v2'] as const) {
      const again = read(writeProxyHeader(version, mixed.header.claimed))
      assert.ok(again.kind === 'header', version)
      assert.deepEqual(again.header.claimed, mixed.header.claimed)
    }
    assert.match(
      writeProxyHeader('v1', mixed.header.claimed).toString(),
      /^PROXY TCP6 ::ffff:192\.0\.2\.1 fd00::100 1 2\r\n$/,
    )
  })
})

test('CRC32c as in RFC 3720, B.4', () => {
  assert.equal(crc32c(Buffer.alloc(32)), 0x8a9136aa)
  assert.equal(crc32c(Buffer.alloc(32, 0xff)), 0x62a8ab43)
  assert.equal(crc32c(Buffer.from(Array.from({ length: 32 }, (_, index) => index))), 0x46dd794e)
  assert.equal(crc32c(Buffer.from('123456789')), 0xe3069283)
  assert.equal(signature.length, 12)
})
