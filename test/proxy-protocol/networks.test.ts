import assert from 'node:assert/strict'
import { test } from 'node:test'
import { flowKey } from '../../src/kernel/flow.js'
import { peerWithin } from '../../src/proxy-protocol/index.js'

const from = (address: string) =>
  flowKey({
    client: { address, port: 1 },
    vip: { address: address.includes(':') ? 'fd00::1' : '10.0.0.1', port: 80 },
  })

test('a network holds its addresses, to the bit, and none of the other family', () => {
  const cases: [address: string, bits: number, inside: string[], outside: string[]][] = [
    ['10.0.0.0', 8, ['10.0.0.1', '10.255.255.255'], ['11.0.0.0', '9.255.255.255', '::a00:1', 'a00::']],
    ['10.0.0.128', 25, ['10.0.0.128', '10.0.0.255'], ['10.0.0.127', '10.0.1.128']],
    ['10.0.0.7', 32, ['10.0.0.7'], ['10.0.0.6', '10.0.0.8']],
    ['0.0.0.0', 0, ['1.2.3.4', '255.255.255.255'], ['::1', '2001:db8::1']],
    ['fd00::', 61, ['fd00::1', 'fd00:0:0:7::1'], ['fd00:0:0:8::1', 'fe00::1', '10.0.0.1']],
    ['2001:db8::7', 128, ['2001:db8::7'], ['2001:db8::6']],
    ['::', 0, ['::1', 'fe80::1'], ['10.0.0.1']],
  ]
  for (const [address, bits, inside, outside] of cases) {
    const within = peerWithin([{ address, bits }])
    for (const one of inside) assert.equal(within(from(one)), true, `${one} in ${address}/${bits}`)
    for (const one of outside) assert.equal(within(from(one)), false, `${one} in ${address}/${bits}`)
  }
})

test('one of several is enough', () => {
  const within = peerWithin([
    { address: '10.0.0.7', bits: 32 },
    { address: 'fd00::', bits: 8 },
  ])
  assert.deepEqual(
    ['10.0.0.7', 'fd12::1', '10.0.0.8'].map((one) => within(from(one))),
    [true, true, false],
  )
})
