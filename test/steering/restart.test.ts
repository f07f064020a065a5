import assert from 'node:assert/strict'
import { existsSync, readdirSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { isBatonError } from '../../src/errors/index.js'
import { attachFilter, createClsact, destroyClsact, interfaceIndex } from '../../src/kernel/attach.js'
import { BpfMap, loadObject, pinnedObject } from '../../src/kernel/bpf.js'
import { closeFd } from '../../src/kernel/host.js'
import { steeringObject } from '../../src/steering/pins.js'
import { flags, segment } from './segment.js'
import { nextHops, settle, until, Wire } from './wire.js'

const holder = fileURLToPath(new URL('fixtures/holder.js', import.meta.url))

for (const [attach, next] of [
  ['tcx', 'tcx'],
  ['clsact', 'clsact'],
  ['tcx', 'clsact'],
  ['clsact', 'tcx'],
] as const) {
  describe(`kill -9 of the process that holds the table (${attach}, then ${next})`, () => {
    const wire = new Wire('btkill')
    const steered = wire.flow('ipv4')
    const steered6 = wire.flow('ipv6')
    const parked = wire.flow('ipv4')
    const lingering = wire.flow('ipv4')
    let server: Server
    before(async () => {
      server = createServer((socket) => socket.on('error', () => socket.destroy()))
      await wire.frontend.listen(server, 80)
    })
    after(async () => {
      server.close()
      await wire.dispose()
    })
    const arrived = (flow: typeof steered) =>
      wire.backend.segments(flow.client.port).map(({ payload }) => payload)

    test('cuts no steered flow; parked packets are dropped and get no RST; a second holder is refused', async () => {
      const wanted = {
        steer: [
          [steered.key.toString('hex'), nextHops.ipv4],
          [steered6.key.toString('hex'), nextHops.linkLocal],
        ],
        park: [[parked.key.toString('hex'), nextHops.ipv4]],
        linger: [[lingering.key.toString('hex'), nextHops.ipv4]],
      }
      const child = wire.frontend.spawn(process.execPath, [
        holder,
        wire.pinPath,
        attach,
        JSON.stringify(wanted),
      ])
      await child.waitFor({ output: /ready/ })
      wire.send(segment(steered.client, steered.vip, { payload: 'before' }))
      await until('before', () => arrived(steered).length === 1)
      assert.throws(
        () => wire.open({ attach: next }),
        (error) => isBatonError(error, 'BATON_STEERING_BUSY'),
      )

      child.kill('SIGKILL')
      await child.exited
      wire.send(
        segment(steered.client, steered.vip, { payload: 'after' }),
        segment(steered6.client, steered6.vip, { payload: 'after' }),
        segment(lingering.client, lingering.vip, { payload: 'after' }),
        segment(parked.client, parked.vip, { payload: 'lost' }),
      )
      await until('after', () =>
        [steered, steered6, lingering].every((flow) => arrived(flow).includes('after')),
      )
      await settle()
      assert.deepEqual(arrived(parked), [])
      for (const { client } of [steered, steered6, lingering, parked]) {
        assert.deepEqual(wire.router.segments(client.port), [], 'no RST')
      }
    })

    test('the next process takes program and flows over, and finds what was parked', async () => {
      const steering = wire.open({ attach: next, lingerMs: 200 })
      assert.equal(steering.attached, next)
      assert.deepEqual(steering.leftParked, [{ key: parked.key, id: 100, nextHop: nextHops.ipv4 }])
      assert.equal(steering.get(steered.key)?.packets, 2, 'the counters went on')
      wire.send(
        segment(steered.client, steered.vip, { payload: 'again' }),
        segment(parked.client, parked.vip, { payload: 'again' }),
      )
      await until('again', () => arrived(steered).includes('again'))
      await until('a parked frame', () => steering.stats().parkedFrames === 1)
      await settle()
      assert.deepEqual(
        arrived(steered).filter((payload) => payload === 'again'),
        ['again'],
        'one program runs, not two',
      )
      assert.equal(steering.get(steered.key)?.packets, 3)
      steering.steer([{ key: parked.key, id: 100, nextHop: nextHops.ipv4 }])
      await until('the parked segment', () => arrived(parked).includes('again'))
      await until('the end of lingering', () => steering.get(lingering.key) === undefined)
    })

    test('close() lets the flows go on too, and the table can be opened again in the same process', async () => {
      wire.close()
      wire.send(segment(steered.client, steered.vip, { payload: 'closed' }))
      await until('closed', () => arrived(steered).includes('closed'))
      const steering = wire.open({ attach: next })
      assert.deepEqual(steering.leftParked, [])
      assert.deepEqual(
        [...steering.entries()].map(([key, { state }]) => [key.toString('hex'), state]).sort(),
        [steered, steered6, parked].map(({ key }) => [key.toString('hex'), 'steer']).sort(),
      )
    })

    test('detach() leaves nothing: no program, no qdisc, no TAP, no pin', async () => {
      wire.detach()
      assert.ok(!existsSync(wire.pinPath))
      const qdiscs = await wire.frontend.run('tc', ['qdisc', 'show', 'dev', 'eth0'])
      assert.doesNotMatch(qdiscs, /clsact/)
      assert.doesNotMatch(await wire.frontend.run('ip', ['-o', 'link']), /baton/)
      wire.send(segment(steered.client, steered.vip, { seq: 9, payload: 'detached' }))
      const [answer] = await until('RST of the local stack', () => {
        const seen = wire.router.segments(steered.client.port)
        return seen.length > 0 && seen
      })
      assert.equal(answer?.flags, flags.rst)
      assert.ok(!arrived(steered).includes('detached'))
    })
  })
}

describe('what else is there', () => {
  const wire = new Wire('btpins')
  after(() => wire.dispose())

  test('a clsact qdisc of somebody else stays after detach(), with its filters', async () => {
    const ifindex = ifindexOf(wire)
    const fd = loadObject(steeringObject, { flows: { maxEntries: 1 } })
    wire.frontend.inside(() => {
      createClsact(ifindex)
      attachFilter(ifindex, fd('steer'), { handle: 7, priority: 7 })
    })
    const filters = () => wire.frontend.run('tc', ['filter', 'show', 'dev', 'eth0', 'ingress'])
    wire.open({ attach: 'clsact' })
    assert.match(await filters(), /pref 2983 bpf/)
    wire.detach()
    assert.doesNotMatch(await filters(), /pref 2983/)
    assert.match(await filters(), /pref 7 bpf/)
    wire.frontend.inside(() => destroyClsact(ifindex))
    for (const name of ['steer', 'playback', 'flows', 'settings', 'totals']) closeFd(fd(name))
  })

  test('flows of another layout are not touched; an empty table of another layout or size is made anew', () => {
    const flow = wire.flow('ipv4')
    wire.open().steer([{ key: flow.key, id: 1, nextHop: nextHops.ipv4 }])
    wire.close()
    const settings = new BpfMap(pinnedObject(join(wire.pinPath, 'settings'))!)
    const flows = new BpfMap(pinnedObject(join(wire.pinPath, 'flows'))!)
    const value = Buffer.alloc(settings.valueBytes)
    settings.get(Buffer.alloc(4), value)
    value.writeUInt32LE(99, 0)
    settings.set(Buffer.alloc(4), value)
    assert.throws(
      () => wire.open(),
      (error) => isBatonError(error, 'BATON_STEERING_LAYOUT') && /version 99/.test(error.message),
    )
    assert.ok(flows.get(flow.key, Buffer.alloc(flows.valueBytes)))
    flows.delete(flow.key)
    for (const { fd } of [settings, flows]) closeFd(fd)
    const anew = wire.open()
    assert.equal(anew.stats().flows, 0)
    anew.steer([{ key: flow.key, id: 1, nextHop: nextHops.ipv4 }])
    wire.close()
    const kept = wire.open({ maxFlows: 100 })
    assert.equal(kept.stats().maxFlows, 4096, 'a table that holds flows keeps its size')
    kept.drop([flow.key])
    wire.close()
    assert.equal(wire.open({ maxFlows: 100 }).stats().maxFlows, 100)
    wire.detach()
  })

  test('what cannot be opened says why, and leaves nothing behind', async () => {
    const failing = (options: Parameters<Wire['open']>[0], code: Parameters<typeof isBatonError>[1]) =>
      assert.throws(
        () => wire.open(options),
        (error) => isBatonError(error, code),
      )
    const tap = `baton-tap${ifindexOf(wire)}`
    failing({ interface: 'eth9' }, 'BATON_STEERING_INTERFACE')
    failing({ pinPath: '/tmp' }, 'BATON_STEERING_BPFFS')
    await wire.frontend.run('ip', ['tuntap', 'add', tap, 'mode', 'tap'])
    const fds = readdirSync('/proc/self/fd').length
    failing({}, 'BATON_STEERING_TAP')
    assert.ok(!existsSync(wire.pinPath))
    assert.equal(readdirSync('/proc/self/fd').length, fds)
    await wire.frontend.run('ip', ['tuntap', 'del', tap, 'mode', 'tap'])
    wire.open()
    wire.detach()
    assert.equal(readdirSync('/proc/self/fd').length, fds)
  })

  test('after close() every call says so, and close() and detach() may come twice', () => {
    const steering = wire.open()
    wire.detach()
    steering.close()
    steering.detach()
    for (const call of [
      () => steering.park([]),
      () => steering.stats(),
      () => steering.entries(),
      () => steering.linger([]),
    ]) {
      assert.throws(call, (error) => isBatonError(error, 'BATON_STEERING_CLOSED'))
    }
  })
})

function ifindexOf(wire: Wire): number {
  const ifindex = wire.frontend.inside(() => interfaceIndex('eth0'))
  assert.ok(ifindex)
  return ifindex
}
