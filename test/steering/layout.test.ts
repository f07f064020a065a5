import assert from 'node:assert/strict'
import { test } from 'node:test'
import { objectStructure } from '../../src/kernel/bpf.js'
import { flowKey, parseFlowKey } from '../../src/kernel/flow.js'
import {
  flowKeyLayout,
  flowValueLayout,
  listenerLayout,
  nextHopBytes,
  readFlowEntry,
  settingsLayout,
  totalsLayout,
  writeFlowState,
  writeFlowValue,
} from '../../src/steering/layout.js'
import { steeringObject } from '../../src/steering/pins.js'

const layouts = {
  flow_key: flowKeyLayout,
  flow_value: flowValueLayout,
  settings: settingsLayout,
  totals: totalsLayout,
  listener: listenerLayout,
}

for (const [name, layout] of Object.entries(layouts)) {
  test(`struct ${name} lies in the compiled object as TypeScript reads it`, () => {
    assert.deepEqual(objectStructure(steeringObject, name), layout)
  })
}

test('a structure that the object does not have is an error', () => {
  assert.throws(() => objectStructure(steeringObject, 'no_such_struct'), /find structure/)
})

test('a key reads back, and lies in network order', () => {
  const flow = {
    client: { address: '192.0.2.10', port: 0x1234 },
    vip: { address: 'fd00::100', port: 80 },
  }
  const key = flowKey(flow)
  assert.deepEqual(parseFlowKey(key), flow)
  assert.equal(
    key.toString('hex'),
    `${'00'.repeat(10)}ffffc000020a${'fd00'}${'00'.repeat(12)}01001234${'0050'}`,
  )
})

test('a value reads back, ids up to 2^53 − 1 too', () => {
  const value = Buffer.alloc(2 * flowValueLayout.size, 0xff)
  const id = Number.MAX_SAFE_INTEGER
  writeFlowValue(value, flowValueLayout.size, 'park', id, nextHopBytes('fe80::11'))
  writeFlowState(value, flowValueLayout.size, 'steer')
  assert.deepEqual(readFlowEntry(value, flowValueLayout.size), {
    state: 'steer',
    id,
    nextHop: 'fe80::11',
    packets: 0,
    bytes: 0,
    lastSeenMs: 0,
  })
  assert.ok(value.subarray(0, flowValueLayout.size).every((byte) => byte === 0xff))
  writeFlowValue(value, 0, 'park', 1, undefined)
  assert.equal(readFlowEntry(value, 0).nextHop, null)
})
