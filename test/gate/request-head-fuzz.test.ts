import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type RequestHead, readRequestHead } from '../../src/gate/index.js'
import { badHeads, goodHeads } from './heads.js'
import { llhttp } from './llhttp.js'
import { mutate, Random } from './mutate.js'

const rounds = 1_000_000
const statuses = new Set([400, 414, 431, 501, 505])
const next = 'GET /next HTTP/1.1\r\nHost: n\r\n\r\n'

/** What llhttp refuses although it is right: methods that Node does not know. */
const strictness = new Set(['HPE_INVALID_METHOD'])

/** Gives the head, the body that it announces and one more request to llhttp, which must see the same two. */
function compare(text: string, head: RequestHead): 'same' | 'refused' {
  const length = head.contentLength ?? 0
  const body = head.chunked ? '3\r\nabc\r\n0\r\n\r\n' : 'x'.repeat(Math.min(length, 100))
  const bodyBytes = head.chunked ? 3 : body.length
  const cut = length > 100
  const follows = head.keepAlive && head.upgrade === null && !cut
  const bytes = Buffer.from(text.slice(0, head.headBytes) + body + (follows ? next : ''), 'latin1')
  const seen = llhttp(bytes)
  if (seen.requests.length === 0 && strictness.has(seen.error ?? '')) return 'refused'
  const label = JSON.stringify(bytes.toString('latin1'))
  assert.equal(seen.error, undefined, label)
  const [first, second] = seen.requests
  assert.deepEqual(
    first,
    {
      method: head.method,
      url: head.target,
      keepAlive: head.keepAlive,
      upgrade: head.upgrade !== null,
      bodyBytes,
      ended: !cut,
    },
    label,
  )
  assert.equal(second?.url, follows ? '/next' : undefined, label)
  assert.equal(seen.consumed, bytes.length, label)
  return 'same'
}

describe('request head, mutated', () => {
  it(`never fails on ${rounds} heads, and frames what it takes as llhttp does`, () => {
    const random = new Random(20_240_607)
    const bad = badHeads.map(([, , text]) => text)
    const counts = { head: 0, bad: 0, incomplete: 0, same: 0, refused: 0 }
    for (let round = 0; round < rounds; round++) {
      const text = mutate(random, round % 8 === 0 ? bad : goodHeads)
      const bytes = Buffer.from(text, 'latin1')
      const result = readRequestHead(bytes, bytes.length, 4096)
      counts[result.kind]++
      if (result.kind === 'bad') assert.ok(statuses.has(result.status), JSON.stringify(text))
      if (result.kind !== 'head') continue
      assert.ok(result.head.headBytes <= Math.min(bytes.length, 4096))
      assert.ok(text.slice(0, result.head.headBytes).endsWith('\r\n\r\n'))
      const before = result.head.headBytes - 1
      assert.equal(readRequestHead(bytes, before, 4096).kind, 'incomplete', JSON.stringify(text))
      counts[compare(text, result.head)]++
    }
    // The mutations must reach all three ends, or the above has said nothing.
    assert.ok(
      counts.head > rounds / 20 && counts.bad > rounds / 4 && counts.incomplete > rounds / 200,
      JSON.stringify(counts),
    )
    assert.ok(counts.same > 10 * counts.refused, JSON.stringify(counts))
  })

  it('frames the good heads as llhttp does', () => {
    for (const text of goodHeads) {
      const bytes = Buffer.from(text, 'latin1')
      const result = readRequestHead(bytes, bytes.length, 4096)
      assert.equal(result.kind === 'head' && compare(text, result.head), 'same')
    }
  })
})
