import assert from 'node:assert/strict'
import { test } from 'node:test'
import { originForm, responseFields } from '../../src/relay/headers.js'
import { rawAnswer } from '../../src/relay/index.js'

test('a raw answer is a whole HTTP message that closes', () => {
  const text = rawAnswer(503, { code: 'BATON_X', retryAfterSeconds: 7 }).toString('latin1')
  const [head = '', body = ''] = text.split('\r\n\r\n')
  assert.match(head, /^HTTP\/1\.1 503 Service Unavailable\r\nDate: \w{3}, \d{2} \w{3} \d{4} [\d:]{8} GMT\r\n/)
  assert.match(head, /\r\nRetry-After: 7\r\n/)
  assert.match(head, /\r\nConnection: close$/)
  assert.equal(body, '503 Service Unavailable (BATON_X)\n')
  assert.match(head, new RegExp(`\r\nContent-Length: ${body.length}\r\n`))
})

test('a raw answer to HEAD has the length and not the body', () => {
  const whole = rawAnswer(404).toString('latin1')
  const head = rawAnswer(404, { head: true }).toString('latin1')
  assert.ok(head.endsWith('\r\n\r\n'))
  assert.equal(/Content-Length: (\d+)/.exec(head)?.[1], /Content-Length: (\d+)/.exec(whole)?.[1])
})

test('targets in absolute form lose user, scheme and authority', () => {
  assert.deepEqual(originForm('/a?b'), { path: '/a?b', host: null })
  assert.deepEqual(originForm('http://u@h:8/a?b'), { path: '/a?b', host: 'h:8' })
  assert.deepEqual(originForm('HTTP://h?b'), { path: '/?b', host: 'h' })
  assert.equal(originForm('*'), undefined)
  assert.equal(originForm('h:443'), undefined)
})

test('an answer keeps its names and order, and loses what Connection names', () => {
  const fields = [
    'X-B',
    '1',
    'Connection',
    'keep-alive, x-c',
    'X-C',
    '2',
    'Trailer',
    'X-D',
    'Transfer-Encoding',
    'chunked',
  ]
  assert.deepEqual(responseFields(fields), ['X-B', '1', 'Trailer', 'X-D'])
})
