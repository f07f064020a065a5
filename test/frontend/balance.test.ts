import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Backend } from '../../src/frontend/backend.js'
import type { Balancer } from '../../src/frontend/balancer.js'
import { leastConnections } from '../../src/frontend/least-connections.js'
import { roundRobin } from '../../src/frontend/round-robin.js'
import { makeBackend } from './backends.js'

const weighted = (weights: Readonly<Record<string, number>>) =>
  Object.entries(weights).map(([id, weight]) => makeBackend(id, { weight }))
const picks = (balance: Balancer, backends: readonly Backend[], turns: number) =>
  Array.from({ length: turns }, () => balance(backends).id)
const tally = (ids: readonly string[]) => {
  const counts: Record<string, number> = {}
  for (const id of ids) counts[id] = (counts[id] ?? 0) + 1
  return counts
}

describe('roundRobin', () => {
  test('equal weights take turns', () => {
    assert.equal(picks(roundRobin(), weighted({ a: 1, b: 1, c: 1 }), 9).join(''), 'abcabcabc')
  })

  test('one that was away for a while has its share of the turns that it was there for, and no more', () => {
    const balance = roundRobin()
    const all = weighted({ a: 2, b: 1, c: 1 })
    const without = all.filter(({ id }) => id !== 'b')
    assert.deepEqual(tally(picks(balance, all, 4)), { a: 2, b: 1, c: 1 })
    assert.deepEqual(tally(picks(balance, without, 6)), { a: 4, c: 2 })
    assert.deepEqual(tally(picks(balance, all, 8)), { a: 4, b: 2, c: 2 })
    // The same under its name in another object, as after a new configuration.
    assert.deepEqual(tally(picks(balance, weighted({ c: 1, b: 1, a: 2 }), 8)), { a: 4, b: 2, c: 2 })
  })

  test('5:1:1 comes out smoothly, as nginx documents it', () => {
    assert.equal(picks(roundRobin(), weighted({ a: 5, b: 1, c: 1 }), 14).join(''), 'aabacaaaabacaa')
  })

  test('whatever the weights: exact shares in every cycle, and no burst above the share', () => {
    for (const weights of [
      { a: 7, b: 3, c: 2 },
      { a: 1000, b: 1 },
      { a: 4, b: 4, c: 1, d: 6 },
    ]) {
      const sum = Object.values(weights).reduce((left, right) => left + right, 0)
      const balance = roundRobin()
      const backends = weighted(weights)
      for (let cycle = 0; cycle < 3; cycle++) {
        const ids = picks(balance, backends, sum)
        assert.deepEqual(tally(ids), weights)
        // After any number of turns each is within one turn of what its weight promises, times the others' number.
        for (const [id, weight] of Object.entries(weights)) {
          let had = 0
          ids.forEach((picked, turn) => {
            if (picked === id) had++
            const due = ((turn + 1) * weight) / sum
            assert.ok(Math.abs(had - due) < Object.keys(weights).length, `${id} had ${had}, due ${due}`)
          })
        }
      }
    }
  })

  test('one that leaves is left out at once, and the others keep their shares', () => {
    const balance = roundRobin()
    const backends = weighted({ a: 2, b: 1, c: 1 })
    picks(balance, backends, 3)
    const two = backends.filter(({ id }) => id !== 'c')
    const ids = picks(balance, two, 300)
    assert.ok(!ids.includes('c'))
    assert.ok(Math.abs((tally(ids).a ?? 0) - 200) <= 2)
  })

  test('a thousand that come and go leave no trace: the shares are those of who is there', () => {
    const balance = roundRobin()
    const stay = weighted({ a: 1, b: 1 })
    for (let round = 0; round < 1000; round++) balance([...stay, makeBackend(`gone-${round}`)])
    const counts = tally(picks(balance, stay, 100))
    assert.ok(Math.abs((counts.a ?? 0) - (counts.b ?? 0)) <= 2, JSON.stringify(counts))
  })

  test('turns that repeat are those that are worked out one by one, whoever comes, goes or changes weight between', () => {
    /** As the definition has it, by name. */
    const plainly = () => {
      const credit = new Map<string, number>()
      return (candidates: readonly Backend[]) => {
        let best = candidates[0] as Backend
        let sum = 0
        for (const candidate of candidates) {
          credit.set(candidate.id, (credit.get(candidate.id) ?? 0) + candidate.weight)
          sum += candidate.weight
          if ((credit.get(candidate.id) ?? 0) > (credit.get(best.id) ?? 0)) best = candidate
        }
        credit.set(best.id, (credit.get(best.id) ?? 0) - sum)
        return best
      }
    }
    let seed = 7
    const random = (below: number) => {
      seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648
      return Math.floor((seed / 2_147_483_648) * below)
    }
    const [balance, reference] = [roundRobin(), plainly()]
    const all = weighted({ a: 4, b: 2, c: 2, d: 6, e: 8, f: 2 })
    for (let change = 0; change < 200; change++) {
      const one = all[random(all.length)] as Backend
      if (change % 5 === 0) one.record = { ...one.record, weight: 1 + random(9) }
      const candidates = all.filter(() => random(4) > 0)
      if (candidates.length === 0) continue
      const turns = random(120)
      const ids = picks(balance, candidates, turns)
      assert.deepEqual(ids, picks(reference, candidates, turns), `change ${change}`)
    }
  })

  test('pools remember for themselves', () => {
    const backends = weighted({ a: 1, b: 1 })
    const [one, two] = [roundRobin(), roundRobin()]
    assert.equal(one(backends).id, 'a')
    assert.equal(two(backends).id, 'a')
  })
})

describe('leastConnections', () => {
  /** Connections pile up as they would: each pick is one more at the picked. */
  const pile = (backends: readonly Backend[], turns: number) => {
    const balance = leastConnections()
    for (let turn = 0; turn < turns; turn++) balance(backends).inFlight++
    return Object.fromEntries(backends.map(({ id, load }) => [id, load]))
  }

  test('equal ones fill evenly', () => {
    assert.deepEqual(pile(weighted({ a: 1, b: 1, c: 1 }), 30), { a: 10, b: 10, c: 10 })
  })

  test('by weight', () => {
    const loads = pile(weighted({ a: 4, b: 1 }), 100)
    assert.ok(Math.abs((loads.a ?? 0) - 80) <= 1, JSON.stringify(loads))
  })

  test('one that is behind catches up first; offers, relayed requests and announced ones all count', () => {
    const backends = weighted({ a: 1, b: 1, c: 1, d: 1 })
    const [a, b, c] = backends
    a!.active = 3
    b!.relayed = 3
    c!.record = { ...c!.record, active: 3 }
    const balance = leastConnections()
    for (let turn = 0; turn < 3; turn++) {
      const best = balance(backends)
      assert.equal(best.id, 'd')
      best.inFlight++
    }
    assert.deepEqual(
      backends.map(({ load }) => load),
      [3, 3, 3, 3],
    )
  })

  test('idle equals take turns', () => {
    const ids = picks(leastConnections(), weighted({ a: 1, b: 1, c: 1 }), 9)
    assert.deepEqual(tally(ids), { a: 3, b: 3, c: 3 })
  })
})
