import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { customReader, type ReadHead } from '../../src/gate/index.js'

/** What a reader that answers with `result` leads to at `length` bytes of at most 256, and what it was scolded for. */
function outcome(result: () => unknown, length = 10) {
  const mistakes: string[] = []
  const read = customReader(
    () => result() as ReadHead,
    (detail) => mistakes.push(detail),
  )
  return { ...read(Buffer.alloc(length, 'x'), length, 256), mistakes }
}

describe("a head reader of the program's own", () => {
  test('gets what has arrived, and no more than a head may have', () => {
    const seen: [string, number][] = []
    const read = customReader(
      (bytes, maxHeadBytes) => {
        seen.push([bytes.toString(), maxHeadBytes])
        return { kind: 'incomplete' }
      },
      () => assert.fail('a mistake'),
    )
    read(Buffer.from('abcdef'), 3, 4)
    read(Buffer.from('abcdef'), 6, 4)
    assert.deepEqual(seen, [
      ['abc', 4],
      ['abcd', 4],
    ])
  })

  test('finds a head, wants more, or refuses', () => {
    const found = outcome(() => ({ kind: 'head', key: 'mail', headBytes: 7, more: 'ignored' }))
    assert.deepEqual(found, {
      kind: 'head',
      head: { kind: 'custom', key: 'mail', headBytes: 7 },
      mistakes: [],
    })
    assert.deepEqual(
      outcome(() => ({ kind: 'incomplete' })),
      { kind: 'incomplete', mistakes: [] },
    )
    const refused = outcome(() => ({ kind: 'bad', reason: 'no such verb' }))
    assert.deepEqual(refused, {
      kind: 'bad',
      status: 400,
      code: 'BATON_GATE_CUSTOM_HEAD',
      detail: 'no such verb',
      mistakes: [],
    })
  })

  test('may take nothing for a head, and every byte', () => {
    assert.equal(outcome(() => ({ kind: 'head', key: 'k', headBytes: 0 }), 0).kind, 'head')
    assert.equal(outcome(() => ({ kind: 'head', key: 'k', headBytes: 10 })).kind, 'head')
  })

  test('is not asked again once the head is as long as it may be', () => {
    const full = outcome(() => ({ kind: 'incomplete' }), 256)
    assert.ok(full.kind === 'bad')
    assert.equal(full.code, 'BATON_GATE_HEAD_TOO_LARGE')
  })

  test('is told off for what is none of these, and the client is refused', () => {
    const wrong: readonly (() => unknown)[] = [
      () => undefined,
      () => null,
      () => 'head',
      () => ({ kind: 'maybe' }),
      () => ({ kind: 'bad' }),
      () => ({ kind: 'head', headBytes: 1 }),
      () => ({ kind: 'head', key: '', headBytes: 1 }),
      () => ({ kind: 'head', key: 7, headBytes: 1 }),
      () => ({ kind: 'head', key: 'x'.repeat(257), headBytes: 1 }),
      () => ({ kind: 'head', key: 'k' }),
      () => ({ kind: 'head', key: 'k', headBytes: -1 }),
      () => ({ kind: 'head', key: 'k', headBytes: 1.5 }),
      () => ({ kind: 'head', key: 'k', headBytes: 11 }),
      () => {
        throw new Error('oops')
      },
    ]
    for (const [index, result] of wrong.entries()) {
      const { mistakes, ...verdict } = outcome(result)
      assert.ok(verdict.kind === 'bad', `case ${index}`)
      assert.equal(verdict.code, 'BATON_GATE_READER')
      assert.equal(mistakes.length, 1)
    }
  })
})
