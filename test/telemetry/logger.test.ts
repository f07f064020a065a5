import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { BatonError } from '../../src/errors/index.js'
import { createLogger } from '../../src/telemetry/index.js'

function collect(level?: string) {
  const lines: Record<string, unknown>[] = []
  const destination = { write: (line: string) => void lines.push(JSON.parse(line)) }
  const log = createLogger({
    component: 'frontend',
    id: 'front-1',
    destination,
    ...(level === undefined ? {} : { level }),
  })
  return { lines, log }
}

describe('logger', () => {
  test('says who speaks, and children name their part', () => {
    const { lines, log } = collect()
    log.debug('not at this level')
    log.child({ component: 'gate' }).info({ listener: 'web' }, 'listening')
    assert.equal(lines.length, 1)
    assert.equal(lines[0]?.id, 'front-1')
    assert.equal(lines[0]?.component, 'gate')
    assert.equal(lines[0]?.listener, 'web')
  })

  test('never writes a secret', () => {
    const { lines, log } = collect()
    const secret = 'hunter2-hunter2'
    log.info(
      { token: secret, password: secret, target: { password: secret }, control: { auth: { token: secret } } },
      'a',
    )
    log.info(
      { headers: { authorization: secret, cookie: secret, 'set-cookie': secret, host: 'a.example' } },
      'b',
    )
    log.info({ request: { headers: { authorization: secret, 'proxy-authorization': secret } } }, 'c')
    assert.ok(!JSON.stringify(lines).includes(secret), JSON.stringify(lines))
    assert.deepEqual(lines[1]?.headers, {
      authorization: '[redacted]',
      cookie: '[redacted]',
      'set-cookie': '[redacted]',
      host: 'a.example',
    })
  })

  test('an error keeps its code and its cause', () => {
    const { lines, log } = collect()
    const error = new BatonError('BATON_CONFIG_SECRET', {
      detail: 'Away.',
      cause: new Error('ENOENT deep down'),
    })
    log.error({ err: error }, 'cannot start')
    const line = JSON.stringify(lines[0])
    for (const part of ['BATON_CONFIG_SECRET', 'ENOENT deep down', 'cannot start'])
      assert.ok(line.includes(part), part)
  })
})
