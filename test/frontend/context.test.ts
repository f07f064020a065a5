import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, test } from 'node:test'
import { decodeNotes, encodeNotes, type Notes } from '../../src/frontend/context.js'

const notes: Notes = {
  acceptedAt: 1_795_444_036_565,
  listener: 'web',
  client: null,
  method: 'GET',
  path: '/v/1',
  host: 'cat.video.example',
  route: 3,
  pool: 'media',
  backend: 'media-1',
  headMs: 1.234,
  chooseMs: 0.056,
}

describe('notes that travel with a connection', () => {
  test('come back as they went', () => {
    for (const change of [
      {},
      { host: null },
      { client: '[2001:db8::7]:50000' },
      { method: null, path: null },
      { path: '/"\\\n\u0000é\u2028' },
      { headMs: 0, chooseMs: 0 },
      { clientFields: { httpVersion: '1.1', referer: null, userAgent: 'a "b" é' } },
    ]) {
      const sent = { ...notes, ...change }
      assert.deepEqual(decodeNotes(encodeNotes(sent)), sent)
    }
  })

  test('times keep microseconds; a long path is cut, so that the longest notes stay small', () => {
    const back = decodeNotes(encodeNotes({ ...notes, headMs: 1.23456789, path: `/${'p'.repeat(200_000)}` }))
    assert.equal(back?.headMs, 1.235)
    assert.equal(back?.path?.length, 512)
    const longest = {
      ...notes,
      listener: 'l'.repeat(64),
      pool: 'p'.repeat(64),
      backend: 'b'.repeat(64),
      host: 'h'.repeat(255),
      // Each of these takes six bytes in JSON.
      path: '\u0001'.repeat(1000),
    }
    assert.ok(encodeNotes(longest).length < 4096, `${encodeNotes(longest).length} bytes`)
    const clientFields = { httpVersion: '1.1', referer: '"'.repeat(256), userAgent: 'u'.repeat(256) }
    assert.deepEqual(encodeNotes({ ...longest, clientFields }), encodeNotes(longest))
  })

  test('foreign bytes are none', () => {
    const good = JSON.parse(encodeNotes(notes).toString()) as unknown[]
    const foreign: readonly unknown[] = [
      null,
      {},
      'text',
      [],
      good.slice(1),
      [...good, 1],
      [...good, '1.1', 1, null],
      [...good, null, null, null],
      ...good.map((_, index) => good.map((value, other) => (other === index ? { not: 'it' } : value))),
      ...good.map((_, index) => good.map((value, other) => (other === index ? [value] : value))),
    ]
    for (const value of foreign) {
      assert.equal(decodeNotes(Buffer.from(JSON.stringify(value))), undefined, JSON.stringify(value))
    }
    for (const bytes of [Buffer.alloc(0), Buffer.from('['), encodeNotes(notes).subarray(0, -1)]) {
      assert.equal(decodeNotes(bytes), undefined)
    }
    for (let round = 0; round < 1000; round++) assert.equal(decodeNotes(randomBytes(round % 100)), undefined)
  })
})
