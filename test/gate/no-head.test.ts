import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { after, before, test } from 'node:test'
import { type Arrival, Gate, type NoHead, type RequestHead, readNothing } from '../../src/gate/index.js'
import { closeFd } from '../../src/kernel/host.js'
import { enterNamespace, until } from './rig.js'

let leave: () => void
before(() => {
  leave = enterNamespace('nohead')
})
after(() => leave())

function listen() {
  const arrivals: Arrival<RequestHead | NoHead>[] = []
  const gate = new Gate<NoHead>({
    onArrivals: (some) => arrivals.push(...some),
    onRejected: () => assert.fail('rejected'),
    onGone: () => assert.fail('gone'),
  })
  const at = { name: 'db', address: '127.0.0.1', port: 0, readHead: readNothing, deferAcceptSeconds: 0 }
  const { port } = gate.listen(at)
  return { gate, port, arrivals }
}

test('a client that says nothing arrives as soon as it is accepted', async () => {
  const { gate, port, arrivals } = listen()
  const client = connect(port, '127.0.0.1')
  await until('an arrival', () => arrivals.length === 1)
  const [arrival] = arrivals
  assert.deepEqual(arrival?.head, { kind: 'tcp', headBytes: 0 })
  assert.equal(arrival?.queuedBytes, 0)
  assert.equal(arrival?.halfClosed, false)
  assert.equal(gate.stats.pending, 0)
  assert.equal(gate.stats.counted, 1)
  gate.release(arrival!.flow)
  assert.equal(gate.stats.counted, 0)
  closeFd(arrival!.fd)
  client.destroy()
  gate.destroy()
})

test('a client that says it all at once arrives with its bytes unread and its FIN seen', async () => {
  const { gate, port, arrivals } = listen()
  gate.pause()
  const client = connect(port, '127.0.0.1')
  client.end('hello')
  await new Promise((resolve) => client.once('finish', resolve))
  const silent = connect(port, '127.0.0.1')
  silent.end()
  await new Promise((resolve) => silent.once('finish', resolve))
  gate.resume()
  await until('two arrivals', () => arrivals.length === 2)
  assert.equal(arrivals[0]?.queuedBytes, 5)
  // With bytes in front of it the FIN is met when it is frozen; without, it is what the look shows.
  assert.equal(arrivals[1]?.halfClosed, true)
  for (const { fd } of arrivals) closeFd(fd)
  client.destroy()
  silent.destroy()
  gate.destroy()
})
