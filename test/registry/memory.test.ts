import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { parseFrontendConfig } from '../../src/config/index.js'
import { configuredBackends, createRegistry } from '../../src/registry/index.js'
import { backend, flow, ids } from './support.js'

describe('memory registry', () => {
  test('knows the backends of the file, one record for each id', () => {
    const { pools } = parseFrontendConfig(`
listeners: [{ name: web, address: "127.0.0.1:80" }]
routes: [{ match: {}, pool: web }]
pools:
  media: { handoff: never, backends: [{ id: b, address: "10.0.0.2:80", weight: 3 }] }
  web: { handoff: never, backends: [{ id: b, address: "10.0.0.2:80", weight: 3 }, { id: a, address: "10.0.0.1:80" }] }
`)
    const registry = createRegistry({ kind: 'memory' }, { backends: configuredBackends(pools) })
    assert.deepEqual(registry.backends(), [
      backend('a', { pools: ['web'], agent: null, address: { address: '10.0.0.1', port: 80 }, epoch: 0 }),
      backend('b', {
        pools: ['media', 'web'],
        agent: null,
        address: { address: '10.0.0.2', port: 80 },
        weight: 3,
        epoch: 0,
      }),
    ])
    assert.deepEqual(registry.status(), {
      kind: 'memory',
      connected: true,
      queuedWrites: 0,
      droppedWrites: 0,
    })
  })

  test('an agent in the same process announces, changes and withdraws itself', async () => {
    const registry = createRegistry({ kind: 'memory' }, { backends: [backend('a', { epoch: 0 })] })
    const lists: string[][] = []
    const stop = registry.onBackends((list) =>
      lists.push(list.map(({ id, epoch, active }) => `${id} ${epoch} ${active}`)),
    )
    const announcement = registry.announce(backend('b', { epoch: 4 }))
    announcement.update({ active: 2 })
    announcement.update({ active: 2 })
    await announcement.withdraw()
    await announcement.withdraw()
    announcement.update({ active: 3 })
    stop()
    registry.announce(backend('c'))
    assert.deepEqual(lists, [['a 0 0', 'b 4 0'], ['a 0 0', 'b 4 2'], ['a 0 0']])
    assert.deepEqual(ids(registry), ['a', 'c'])
  })

  test('who announced an id last owns it', async () => {
    const registry = createRegistry({ kind: 'memory' })
    const former = registry.announce(backend('a', { epoch: 1 }))
    registry.announce(backend('a', { epoch: 2 }))
    former.update({ active: 9 })
    await former.withdraw()
    assert.deepEqual(registry.backends(), [backend('a', { epoch: 2 })])
  })

  test('keeps no notes of flows, which nobody else could read', async () => {
    const registry = createRegistry({ kind: 'memory' })
    registry.putFlows([flow(1), flow(2)])
    registry.removeFlows([flow(1).key])
    assert.equal(await registry.findFlow(flow(2).key), undefined)
    await registry.close()
  })

  test('takes no announcement once it is closed', async () => {
    const registry = createRegistry({ kind: 'memory' })
    await registry.close()
    assert.throws(() => registry.announce(backend('a')), { code: 'BATON_REGISTRY_CLOSED' })
  })
})
