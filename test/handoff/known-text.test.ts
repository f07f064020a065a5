import assert from 'node:assert/strict'
import { test } from 'node:test'
import { KnownText } from '../../src/handoff/known-text.js'

test('a text is known again when it is the last one, whole and at its place', () => {
  const known = new KnownText()
  const bytes = Buffer.from('xwebweb2')
  assert.equal(known.match(bytes, 1, 3), undefined)
  assert.equal(known.keep('web'), 'web')
  assert.equal(known.match(bytes, 1, 3), 'web')
  assert.equal(known.match(bytes, 4, 3), 'web')
  assert.equal(known.match(bytes, 4, 4), undefined)
  assert.equal(known.match(bytes, 0, 3), undefined)
  assert.equal(known.match(bytes, 6, 3), undefined, 'beyond the end')
  known.keep('web2')
  assert.deepEqual([known.match(bytes, 4, 4), known.match(bytes, 1, 3)], ['web2', undefined])
})
