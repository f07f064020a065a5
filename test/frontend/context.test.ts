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
      // Each of these takes three bytes.
      path: '\u2028'.repeat(1000),
    }
    assert.ok(encodeNotes(longest).length < 4096, `${encodeNotes(longest).length} bytes`)
    const clientFields = { httpVersion: '1.1', referer: '"'.repeat(2000), userAgent: 'u'.repeat(2000) }
    assert.deepEqual(encodeNotes({ ...longest, clientFields }), encodeNotes(longest))
  })

  test('foreign bytes are none', () => {
    const good = encodeNotes(notes)
    const nulls = (...names: (keyof Notes)[]) =>
      encodeNotes({ ...notes, ...Object.fromEntries(names.map((name) => [name, null])) })
    const more = Buffer.concat([good, Buffer.from([0, 1, 65])])
    const all = encodeNotes({
      ...notes,
      clientFields: { httpVersion: '1.1', referer: null, userAgent: null },
    })
    for (const bytes of [
      Buffer.alloc(0),
      Buffer.from('['),
      Buffer.from(JSON.stringify([notes.acceptedAt, 'web'])),
      more,
      Buffer.concat([all, Buffer.from([0xff, 0xff])]),
      Buffer.concat([Buffer.from([0xb7, 2]), good.subarray(2)]),
      ...(['listener', 'pool', 'backend'] as const).map((name) => nulls(name)),
      ...Array.from({ length: good.length }, (_, length) => good.subarray(0, length)),
    ]) {
      assert.equal(decodeNotes(bytes), undefined, bytes.toString('hex'))
    }
    for (let round = 0; round < 1000; round++) assert.equal(decodeNotes(randomBytes(round % 100)), undefined)
    // Of what looks like ours nothing is read beyond its end.
    for (let round = 0; round < 2000; round++) {
      decodeNotes(Buffer.concat([good.subarray(0, 20), randomBytes(round % 60)]))
    }
  })
})
