import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { BatonError, type ErrorCode, errorRegistry, isBatonError } from '../../src/errors/index.js'
import { errorsPage } from '../../src/errors/page.js'

const root = join(import.meta.dirname, '../../..')

describe('errors', () => {
  test('docs/errors.md is made from the registry; npm run docs writes it', () => {
    assert.equal(readFileSync(join(root, 'docs/errors.md'), 'utf8'), errorsPage())
  })

  test('every code has its place in the page, and says what happened and what to do in sentences', () => {
    const page = errorsPage()
    for (const [code, row] of Object.entries(errorRegistry)) {
      assert.match(code, /^BATON(?:_[A-Z0-9]+)+$/)
      assert.ok(page.includes(`### ${code}\n`), code)
      for (const sentence of [row.summary, row.action])
        assert.match(sentence, /^[A-Za-z].*[.?]$/s, `${code}: ${sentence}`)
    }
  })

  test('an error carries its row, its cause and the step that failed', () => {
    const cause = new Error('deep')
    const code: ErrorCode = 'BATON_CONFIG_SECRET'
    const error = new BatonError(code, { detail: 'It is away.', cause, step: 'open', errno: 2 })
    assert.equal(error.message, `${errorRegistry[code].summary} It is away.`)
    assert.equal(error.cause, cause)
    assert.deepEqual([error.side, error.retryable, error.step, error.errno], ['operator', false, 'open', 2])
    assert.ok(
      isBatonError(error, code) && !isBatonError(error, 'BATON_CONFIG_INVALID') && !isBatonError(cause),
    )
  })
})
