import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { Backend } from '../../src/frontend/backend.js'
import { Pool } from '../../src/frontend/pool.js'
import type { Channel } from '../../src/handoff/index.js'
import type { BackendRecord } from '../../src/registry/index.js'
import { makeBackend, makeReachable, openChannel } from './backends.js'

let up: Channel
let close: () => void
before(async () => {
  const opened = await openChannel()
  up = opened.channel
  close = opened.close
})
after(() => close?.())

const pool = (backends: readonly Backend[], handoff: 'auto' | 'never' = 'auto') => {
  const made = new Pool('web', { handoff, balance: 'roundRobin' })
  made.backends = backends
  return made
}
const address = { address: '10.0.0.11', port: 8080 }
const agent = { address: '10.0.0.11', port: 7400 }
const draining: Partial<BackendRecord> = { draining: true }
const chosen = (choice: Backend | string) => (typeof choice === 'string' ? choice : choice.id)
const full = (id: string) => {
  const backend = makeReachable(id, up, {}, 1)
  backend.inFlight = 1
  return backend
}

describe('a pool that cannot hand over says why', () => {
  const cases: readonly (readonly [says: string, backends: () => readonly Backend[]])[] = [
    ['no_agent', () => []],
    ['no_agent', () => [makeBackend('a')]],
    ['agent_down', () => [makeBackend('a', { agent })]],
    ['agent_down', () => [makeBackend('a'), makeBackend('b', { agent })]],
    ['agent_down', () => [makeBackend('b', { agent }), makeBackend('a')]],
    ['agent_draining', () => [makeReachable('a', up, draining)]],
    ['agent_full', () => [full('a')]],
    ['agent_full', () => [makeReachable('a', up, {}, 0)]],
  ]
  for (const [says, backends] of cases) {
    test(`${says}: ${backends.toString().slice(6)}`, () => {
      assert.equal(pool(backends()).chooseForHandoff(true, []), says)
    })
  }

  test('pool_policy, whoever is there', () => {
    assert.equal(pool([makeReachable('a', up)], 'never').chooseForHandoff(true, []), 'pool_policy')
  })

  test('an agent that said it accepts nothing is draining, registry or not', () => {
    const backend = makeReachable('a', up)
    backend.accepting = false
    assert.equal(pool([backend]).chooseForHandoff(true, []), 'agent_draining')
  })

  test('no_next_hop: a host without IPv6 takes IPv4 flows only', () => {
    const made = pool([makeReachable('a', up)])
    assert.equal(made.chooseForHandoff(false, []), 'no_next_hop')
    assert.equal(chosen(made.chooseForHandoff(true, [])), 'a')
  })

  test('a host with IPv6 alone takes flows of both: the next hop is only for the segment', () => {
    const backend = makeReachable('a', up)
    backend.steerTo = { ipv4: null, ipv6: 'fd00::11' }
    assert.equal(chosen(pool([backend]).chooseForHandoff(true, [])), 'a')
    assert.equal(backend.nextHop(true), 'fd00::11')
  })

  test('refused, once everybody was asked', () => {
    const [a, b] = [makeReachable('a', up), makeReachable('b', up)]
    const made = pool([a, b])
    assert.equal(chosen(made.chooseForHandoff(true, [a])), 'b')
    assert.equal(made.chooseForHandoff(true, [a, b]), 'refused')
  })
})

test('only those that can take it are chosen among', () => {
  const made = pool([
    makeBackend('no-agent'),
    full('full'),
    makeReachable('one', up),
    makeReachable('two', up),
  ])
  const ids = Array.from({ length: 4 }, () => chosen(made.chooseForHandoff(true, [])))
  assert.deepEqual(ids, ['one', 'two', 'one', 'two'])
})

describe('among many that come and go', () => {
  const tally = (made: Pool, turns: number) => {
    const counts: Record<string, number> = {}
    for (let turn = 0; turn < turns; turn++) {
      const id = chosen(made.chooseForHandoff(true, []))
      counts[id] = (counts[id] ?? 0) + 1
    }
    return counts
  }
  const weights = { a: 5, b: 3, c: 1, d: 1 }
  const make = () =>
    Object.entries(weights).map(([id, weight]) => makeReachable(id, up, { weight })) as [
      Backend,
      Backend,
      Backend,
      Backend,
    ]

  test('shares are exact, cycle by cycle', () => {
    const made = pool(make())
    for (let cycle = 0; cycle < 5; cycle++) assert.deepEqual(tally(made, 10), weights)
  })

  const goings: readonly (readonly [
    name: string,
    go: (one: Backend) => void,
    come: (one: Backend) => void,
  ])[] = [
    [
      'is full',
      (one) => {
        one.inFlight = one.capacity
      },
      (one) => {
        one.inFlight = 0
      },
    ],
    [
      'takes nothing',
      (one) => {
        one.accepting = false
      },
      (one) => {
        one.accepting = true
      },
    ],
    [
      'is away',
      (one) => {
        one.channel = undefined
      },
      (one) => {
        one.channel = up
      },
    ],
    [
      'has no next hop',
      (one) => {
        one.steerTo = { ipv4: null, ipv6: null }
      },
      (one) => {
        one.steerTo = { ipv4: '10.0.0.11', ipv6: null }
      },
    ],
  ]
  for (const [name, go, come] of goings) {
    test(`one that ${name} is not chosen from then on, and is again as soon as it can be`, () => {
      const backends = make()
      const [, b] = backends
      const made = pool(backends)
      for (let round = 0; round < 3; round++) {
        tally(made, 3)
        go(b)
        const without = tally(made, 70)
        assert.equal(without.b, undefined)
        assert.ok(Math.abs((without.a ?? 0) - 50) <= 5, JSON.stringify(without))
        come(b)
        const all = tally(made, 100)
        for (const [id, weight] of Object.entries(weights))
          assert.ok(Math.abs((all[id] ?? 0) - weight * 10) <= 5, JSON.stringify(all))
      }
    })
  }

  test('flows of both families in turn have one balancer, and the shares are exact', () => {
    const made = pool(
      make().map((backend) => {
        backend.steerTo = { ipv4: '10.0.0.11', ipv6: 'fd00::11' }
        return backend
      }),
    )
    const counts: Record<string, number> = {}
    for (let turn = 0; turn < 100; turn++) {
      const id = chosen(made.chooseForHandoff(turn % 3 === 0, []))
      counts[id] = (counts[id] ?? 0) + 1
    }
    assert.deepEqual(counts, { a: 50, b: 30, c: 10, d: 10 })
  })

  test('everybody goes and one comes back: the reason is that of now', () => {
    const backends = make()
    const made = pool(backends)
    tally(made, 5)
    for (const backend of backends) backend.accepting = false
    assert.equal(made.chooseForHandoff(true, []), 'agent_draining')
    for (const backend of backends) backend.channel = undefined
    assert.equal(made.chooseForHandoff(true, []), 'agent_down')
    const [one] = backends
    one.channel = up
    one.accepting = true
    assert.deepEqual(tally(made, 4), { a: 4 })
  })
})

describe('relaying', () => {
  const ids = (made: Pool) => made.chooseForRelay().map(({ id }) => id)
  const reachable = (...names: string[]) => names.map((name) => makeBackend(name, { address }))

  test('needs an address', () => {
    const made = pool([makeBackend('none'), ...reachable('a', 'b')])
    assert.equal(made.canRelay, true)
    assert.deepEqual(ids(made), ['a', 'b'])
    const nobody = pool([makeBackend('none')])
    assert.equal(nobody.canRelay, false)
    assert.deepEqual(ids(nobody), [])
  })

  test('takes turns, one a request, whoever is named to be tried after', () => {
    for (const names of [
      ['a', 'b'],
      ['a', 'b', 'c'],
      ['a', 'b', 'c', 'd', 'e'],
    ]) {
      const made = pool(reachable(...names))
      const first: (string | undefined)[] = []
      for (let turn = 0; turn < names.length * 2; turn++) {
        assert.equal(made.canRelay, true)
        const order = ids(made)
        assert.equal(new Set(order).size, Math.min(names.length, 3))
        first.push(order[0])
      }
      assert.deepEqual(first, [...names, ...names])
    }
  })

  test('by weight', () => {
    const made = pool([makeBackend('a', { address, weight: 3 }), makeBackend('b', { address })])
    const first = Array.from({ length: 8 }, () => ids(made)[0])
    assert.equal(first.filter((id) => id === 'a').length, 6)
  })

  test('takes one that drains only when there is no other', () => {
    const leaving = makeBackend('leaving', { address, draining: true })
    const made = pool([leaving, ...reachable('steady')])
    for (let turn = 0; turn < 4; turn++) assert.deepEqual(ids(made), ['steady'])
    assert.deepEqual(ids(pool([leaving])), ['leaving'])
  })

  test('has its own turns: handoffs do not skew it', () => {
    const made = pool([makeReachable('a', up, { address }), makeReachable('b', up, { address })])
    assert.equal(chosen(made.chooseForHandoff(true, [])), 'a')
    assert.deepEqual(ids(made), ['a', 'b'])
    assert.deepEqual(ids(made), ['b', 'a'])
  })
})

test('bytes that are no HTTP go to agents that say they take them', async () => {
  const bytes = await openChannel(['tcp', 'bytes'])
  try {
    const parses = makeReachable('parses', up)
    const takes = makeReachable('takes', bytes.channel)
    const both = pool([parses, takes])
    for (let turn = 0; turn < 4; turn++)
      assert.equal(chosen(both.chooseForHandoff(true, [], 'bytes')), 'takes')
    assert.equal(chosen(pool([parses]).chooseForHandoff(true, [], 'bytes')), 'agent_parses_http')
    assert.equal(chosen(pool([parses]).chooseForHandoff(true, [], 'http')), 'parses')
    assert.equal(chosen(both.chooseForHandoff(true, [takes], 'bytes')), 'refused')
  } finally {
    bytes.close()
  }
})
