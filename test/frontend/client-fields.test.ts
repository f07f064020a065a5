import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer, get } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { readClientFields } from '../../src/frontend/client-fields.js'
import { readRequestHead } from '../../src/gate/index.js'
import { createFrontend } from '../../src/index.js'
import { enterNamespace } from '../gate/rig.js'

/** The fields of a request that is given without its request line and Host. */
function fields(lines: string, version = '1.1', behind = '') {
  const bytes = Buffer.from(`GET / HTTP/${version}\r\nHost: x\r\n${lines}\r\n${behind}`, 'latin1')
  const result = readRequestHead(bytes, bytes.length, 65_536)
  assert.ok(result.kind === 'head', JSON.stringify(result))
  return readClientFields(bytes, result.head)
}

test('referer and user agent are read as they were sent, in any case and order', () => {
  assert.deepEqual(fields('User-Agent: curl/7.88.1\r\nReferer: http://a.example/\r\n'), {
    httpVersion: '1.1',
    referer: 'http://a.example/',
    userAgent: 'curl/7.88.1',
  })
  assert.deepEqual(fields('REFERER:x \r\nuser-agent:\t y z\t\r\n', '1.0'), {
    httpVersion: '1.0',
    referer: 'x',
    userAgent: 'y z',
  })
})

test('what is missing, empty or no field of its own is none', () => {
  const none = { httpVersion: '1.1', referer: null, userAgent: null }
  assert.deepEqual(fields(''), none)
  assert.deepEqual(fields('User-Agent:\r\nReferer: \r\n'), none)
  assert.deepEqual(fields('X-User-Agent: no\r\nX: user-agent: no\r\n'), none)
  // In the body, or in a next request, it is not this one's.
  assert.deepEqual(fields('Content-Length: 24\r\n', '1.1', '\r\nUser-Agent: body\r\n\r\n'), none)
})

test('long values are cut', () => {
  assert.equal(fields(`User-Agent: ${'u'.repeat(1000)}\r\n`)?.userAgent?.length, 256)
})

test('a line of a relayed and one of a refused request in the format combined', async () => {
  const leave = enterNamespace('fields')
  const folder = mkdtempSync(join(tmpdir(), 'btfld'))
  const backend = createServer((_request, response) => response.end('hello\n')).listen(0, '127.0.0.1')
  await once(backend, 'listening')
  const frontend = createFrontend({
    listeners: [{ name: 'web', address: '127.0.0.1:0' }],
    routes: [{ match: { path: { prefix: '/a/' } }, pool: 'web' }],
    pools: {
      web: {
        handoff: 'never',
        backends: [{ id: 'web-1', address: `127.0.0.1:${(backend.address() as AddressInfo).port}` }],
      },
    },
    admin: { address: '127.0.0.1:0' },
    log: { level: 'silent', accessLog: join(folder, 'log'), accessLogFormat: 'combined' },
  })
  await frontend.start()
  try {
    const { port } = frontend.addresses.get('web') as { port: number }
    const headers = { 'user-agent': 'a "browser"', referer: 'http://b.example/' }
    for (const path of ['/a/1?q', '/b']) {
      const [answer] = await once(get({ host: '127.0.0.1', port, path, headers, agent: false }), 'response')
      answer.resume()
      await once(answer, 'end')
    }
  } finally {
    await frontend.close()
    backend.close()
    leave()
  }
  const lines = readFileSync(join(folder, 'log'), 'utf8').trimEnd().split('\n')
  rmSync(folder, { recursive: true })
  const end = '"http://b\\.example/" "a \\\\x22browser\\\\x22"$'
  assert.match(
    lines[0] ?? '',
    new RegExp(`^127\\.0\\.0\\.1 - - \\[.*\\] "GET /a/1 HTTP/1\\.1" 200 \\d+ ${end}`),
  )
  assert.match(
    lines[1] ?? '',
    new RegExp(`^127\\.0\\.0\\.1 - - \\[.*\\] "GET /b HTTP/1\\.1" 404 \\d+ ${end}`),
  )
})
