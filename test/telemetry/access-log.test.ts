import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { AccessLog, type AccessRecord, formatAccess } from '../../src/telemetry/index.js'

const record: AccessRecord = {
  time: Date.UTC(2026, 10, 23, 13, 5, 9, 42),
  frontend: 'front-1',
  listener: 'web',
  client: '10.1.0.9:40000',
  via: null,
  vip: '10.0.0.100:80',
  method: 'GET',
  path: '/v/1',
  host: 'a.video.example',
  route: 0,
  pool: 'media',
  backend: 'media-1',
  how: 'handoff',
  reason: null,
  status: 200,
  requests: 1,
  bytesIn: 80,
  bytesOut: 1000,
  durationMs: 12.5,
  phases: { headMs: 1, chooseMs: 0.05, handoffMs: 0.4 },
  cause: 'client',
}

describe('access log', () => {
  let folder = ''
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'baton-access-'))
  })
  after(() => rmSync(folder, { recursive: true, force: true }))
  const at = (name: string) => join(folder, name)
  const lines = (path: string) => readFileSync(path, 'utf8').split('\n').slice(0, -1)

  test('one JSON object a line', async () => {
    const log = new AccessLog({ destination: at('json.log') })
    log.write(record)
    log.write({ ...record, path: '/"\n{"forged":1}', status: null })
    await log.close()
    const [first, second, ...more] = lines(at('json.log')).map((line) => JSON.parse(line))
    assert.deepEqual(first, { ...record, time: '2026-11-23T13:05:09.042Z' })
    assert.equal(second.path, '/"\n{"forged":1}')
    assert.deepEqual(more, [])
    assert.equal(statSync(at('json.log')).mode & 0o007, 0, 'not for everybody')
  })

  test('the formats of Apache, in which no client can forge a line or a field', () => {
    const line = '10.1.0.9 - - [23/Nov/2026:13:05:09 +0000] "GET /v/1 HTTP/1.1" 200 1000'
    assert.equal(formatAccess(record, 'common'), `${line}\n`)
    assert.equal(formatAccess(record, 'combined'), `${line} "-" "-"\n`)
    const clientFields = { httpVersion: '1.0', referer: null, userAgent: 'a "browser"\\' }
    assert.equal(
      formatAccess({ ...record, clientFields }, 'combined'),
      `${line.replace('HTTP/1.1', 'HTTP/1.0')} "-" "a \\x22browser\\x22\\x5C"\n`,
    )
    const hostile = { ...record, client: '[fd00::9]:1', path: '/a" \\ é\r\n1.2.3.4 - -', status: null }
    assert.equal(
      formatAccess(hostile, 'common'),
      'fd00::9 - - [23/Nov/2026:13:05:09 +0000] "GET /a\\x22 \\x5C \\xC3\\xA9\\x0D\\x0A1.2.3.4 - - HTTP/1.1" - 1000\n',
    )
    const headless = { ...record, method: null, path: null, host: null, status: 408, bytesOut: 0 }
    assert.match(formatAccess(headless, 'common'), /\] "-" 408 0\n$/)
  })

  test('lines are in the file before long, and all of them when it is closed', async () => {
    const log = new AccessLog({ destination: at('many.log') })
    log.write(record)
    for (let round = 0; round < 200 && statSync(at('many.log')).size === 0; round++) await sleep(20)
    assert.equal(lines(at('many.log')).length, 1)
    for (let index = 0; index < 5000; index++) log.write({ ...record, bytesIn: index })
    await Promise.all([log.close(), log.close()])
    const numbers = lines(at('many.log'))
      .slice(1)
      .map((line) => JSON.parse(line).bytesIn)
    assert.deepEqual(
      numbers,
      Array.from({ length: 5000 }, (_, index) => index),
    )
    log.write(record)
    assert.equal(log.dropped, 1)
  })

  test('after logrotate moved the file, a new one is opened and no line is lost', async () => {
    const log = new AccessLog({ destination: at('rotated.log') })
    for (let index = 0; index < 100; index++) log.write({ ...record, bytesIn: index })
    renameSync(at('rotated.log'), at('rotated.log.1'))
    log.reopen()
    for (let round = 0; round < 200 && !exists(at('rotated.log')); round++) await sleep(10)
    for (let index = 100; index < 200; index++) log.write({ ...record, bytesIn: index })
    await log.close()
    const numbers = [...lines(at('rotated.log.1')), ...lines(at('rotated.log'))].map(
      (line) => JSON.parse(line).bytesIn,
    )
    assert.deepEqual(
      numbers,
      Array.from({ length: 200 }, (_, index) => index),
    )
    assert.ok(lines(at('rotated.log')).length >= 100)
  })

  test('a full disk costs lines, counted, and is told once', async () => {
    const troubles: (string | undefined)[] = []
    const log = new AccessLog({
      destination: '/dev/full',
      onTrouble: (error) => troubles.push(error?.message),
    })
    for (let index = 0; index < 20_000; index++) log.write(record)
    assert.ok(log.dropped > 1000, 'the buffer is bounded')
    for (let round = 0; round < 200 && troubles.length === 0; round++) await sleep(10)
    await log.close()
    assert.match(troubles[0] ?? '', /ENOSPC/)
    assert.equal(log.dropped, 20_000)
    assert.ok(troubles.length <= 2, troubles.join())
  })

  test('off writes nothing, and a file that cannot be opened is an error at the start', async () => {
    const log = new AccessLog({ destination: 'off' })
    log.write(record)
    log.reopen()
    await log.close()
    assert.equal(log.dropped, 0)
    assert.throws(() => new AccessLog({ destination: at('no/such/folder.log') }), {
      code: 'BATON_ACCESS_LOG',
    })
  })

  function exists(path: string): boolean {
    return statSync(path, { throwIfNoEntry: false }) !== undefined
  }
})
