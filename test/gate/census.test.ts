import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Census } from '../../src/gate/census.js'
import { flowKey } from '../../src/kernel/flow.js'

const from = (address: string, port = 1000) =>
  flowKey({
    client: { address, port },
    vip: { address: address.includes(':') ? 'fd00::1' : '10.0.0.1', port: 80 },
  })

describe('census', () => {
  it('counts a client by IPv4 address', () => {
    const census = new Census(0, 1)
    assert.equal(census.admit(from('192.0.2.1')), undefined)
    assert.equal(census.admit(from('192.0.2.1', 2000)), 'BATON_GATE_CLIENT_FULL')
    assert.equal(census.admit(from('192.0.2.2')), undefined)
    assert.equal(census.total, 2)
  })

  it('counts a client by the /64 of its IPv6 address', () => {
    const census = new Census(0, 1)
    assert.equal(census.admit(from('2001:db8::1')), undefined)
    assert.equal(census.admit(from('2001:db8::ffff:2')), 'BATON_GATE_CLIENT_FULL')
    assert.equal(census.admit(from('2001:db8:0:1::1')), undefined)
  })

  it('remembers no client that has no connection', () => {
    const census = new Census(0, 2)
    const flow = from('192.0.2.1')
    for (let round = 0; round < 3; round++) {
      census.admit(flow)
      census.admit(flow)
      assert.equal(census.clients, 1)
      census.release(flow)
      census.release(flow)
      assert.deepEqual([census.clients, census.total], [0, 0])
    }
  })

  it('names the limit in all before the one per client, and counts neither', () => {
    const census = new Census(1, 1)
    census.admit(from('192.0.2.1'))
    assert.equal(census.admit(from('192.0.2.1')), 'BATON_GATE_FULL')
    assert.equal(census.admit(from('192.0.2.2')), 'BATON_GATE_FULL')
    assert.deepEqual([census.clients, census.total], [1, 1])
  })

  it('remembers nothing without a limit per client', () => {
    const census = new Census(0, 0)
    for (let port = 1; port <= 100; port++) census.admit(from('192.0.2.1', port))
    assert.deepEqual([census.clients, census.total], [0, 100])
  })
})
