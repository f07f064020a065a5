import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parseFlowKey } from '../../src/kernel/flow.js'
import { crc32c } from '../../src/proxy-protocol/crc32c.js'
import { readProxyHeader, writeProxyHeader } from '../../src/proxy-protocol/index.js'
import { Random } from '../gate/mutate.js'
import { block, checked, ipv4Addresses, ipv6Addresses, tlv } from './headers.js'

const rounds = 1_200_000
const codes = new Set(['MISSING', 'V1', 'V2', 'CHECKSUM', 'TOO_LARGE'].map((code) => `BATON_PROXY_${code}`))

const seeds = [
  Buffer.from('PROXY TCP4 192.0.2.1 10.0.0.100 56324 443\r\nGET / HTTP/1.1\r\n\r\n'),
  Buffer.from('PROXY TCP6 2001:db8::1 fd00::100 56324 443\r\n\x16\x03\x01', 'latin1'),
  Buffer.from('PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n'),
  block(0x21, 0x11, ipv4Addresses, tlv(2, 'a.example'), tlv(1, 'h2')),
  checked(0x21, 0x21, ipv6Addresses, tlv(0x20, Buffer.from([1, 0, 0, 0, 0, 0x21, 0, 3, 49, 46, 51]))),
  checked(0x21, 0x11, ipv4Addresses),
  block(0x20, 0x00),
  block(0x21, 0x31, Buffer.alloc(216, '/run/a\0'), tlv(4, Buffer.alloc(9))),
]
const pieces = [
  '\r\n',
  '\n',
  '\r',
  ' ',
  '  ',
  '\0',
  'TCP4',
  'TCP6',
  'UNKNOWN',
  'PROXY ',
  '255.255.255.255',
  '::',
  '65535',
  '0',
  '%',
  '::ffff:1.2.3.4',
]

/** One to four random changes; then, mostly, the length of a block is made to fit again, and now and then its checksum. */
function mutate(random: Random): Buffer {
  let bytes = Buffer.from(random.pick(seeds))
  for (let change = random.below(4); change >= 0; change--) {
    const at = random.below(bytes.length)
    const [head, tail] = [bytes.subarray(0, at), bytes.subarray(at)]
    switch (random.below(6)) {
      case 0:
        bytes[at] = random.below(256)
        break
      case 1:
        bytes[at]! ^= 1 << random.below(8)
        break
      case 2:
        bytes = Buffer.concat([head, tail.subarray(1 + random.below(4)), Buffer.from([random.below(256)])])
        break
      case 3:
        bytes = Buffer.concat([head, Buffer.from(random.pick(pieces), 'latin1'), tail])
        break
      case 4:
        bytes = Buffer.concat([bytes, tlv(random.below(8), Buffer.alloc(random.below(140)))])
        break
      default:
        bytes = Buffer.concat([head, random.pick(seeds).subarray(random.below(16))])
    }
  }
  if (bytes.length > 16 && random.below(4) > 0) {
    bytes.writeUInt16BE(random.below(3) === 0 ? bytes.length - 16 : Math.min(bytes.readUInt16BE(14), 300), 14)
  }
  const checksumAt = bytes.length - 4
  if (checksumAt > 28 && random.below(8) === 0) {
    bytes.fill(0, checksumAt)
    bytes.writeUInt32BE(crc32c(bytes), checksumAt)
  }
  return bytes
}

describe('PROXY protocol headers, mutated', () => {
  it(`never fails on ${rounds} of them, and what it takes has one meaning`, () => {
    const random = new Random(20_261_127)
    const counts = { header: 0, bad: 0, incomplete: 0 }
    let claims = 0
    for (let round = 0; round < rounds; round++) {
      const bytes = mutate(random)
      const result = readProxyHeader(bytes, bytes.length, 4096)
      counts[result.kind]++
      if (result.kind === 'bad' && !codes.has(result.code)) assert.fail(result.code)
      if (result.kind !== 'header') continue
      const { headerBytes, claimed } = result.header
      const label = bytes.toString('hex')
      assert.ok(headerBytes >= 15 && headerBytes <= bytes.length, label)
      // Not one byte less is a header, and what follows changes nothing.
      if (readProxyHeader(bytes, headerBytes - 1, 4096).kind !== 'incomplete') assert.fail(label)
      if (readProxyHeader(bytes, headerBytes, headerBytes).kind !== 'header') assert.fail(label)
      if (claimed === null) continue
      claims++
      assert.ok(parseFlowKey(claimed).client.port <= 65535, label)
      for (const version of ['v1', 'v2'] as const) {
        const written = writeProxyHeader(version, claimed)
        const again = readProxyHeader(written, written.length, 4096)
        if (again.kind !== 'header' || again.header.claimed?.equals(claimed) !== true) assert.fail(label)
      }
    }
    const enough = counts.header > rounds / 20 && counts.bad > rounds / 5 && counts.incomplete > rounds / 100
    assert.ok(enough && claims > rounds / 50, JSON.stringify({ ...counts, claims }))
  })
})
