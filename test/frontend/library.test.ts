import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, createServer, type Server } from 'node:net'
import { after, before, describe, test } from 'node:test'
import {
  type AccessRecord,
  type CustomProtocol,
  createFrontend,
  type Frontend,
  type FrontendOptions,
  isBatonError,
} from '../../src/index.js'
import { enterNamespace, until } from '../gate/rig.js'

/** `TO name\n`, then whatever the backend makes of it. */
const lines: CustomProtocol = {
  readHead(bytes) {
    const end = bytes.indexOf('\n')
    if (end < 0) return { kind: 'incomplete' }
    const line = bytes.toString('latin1', 0, end)
    if (line === 'CRASH') throw new Error('a mistake of the reader')
    const [, key] = /^TO (\S+)$/.exec(line) ?? []
    return key === undefined ? { kind: 'bad', reason: 'no TO' } : { kind: 'head', headBytes: end + 1, key }
  },
  refuse: (code) => `NO ${code}\n`,
}

let leave: () => void
let backend: Server
let frontend: Frontend
const records: AccessRecord[] = []
const states: string[] = []

const options = (port: number): FrontendOptions => ({
  id: 'front-1',
  listeners: [
    { name: 'lines', address: '127.0.0.1:0', protocol: lines },
    { name: 'mute', address: '127.0.0.1:0', protocol: { readHead: lines.readHead } },
    {
      name: 'shouting',
      address: '127.0.0.1:0',
      protocol: { ...lines, refuse: () => 'x'.repeat(5000) },
    },
  ],
  routes: [
    { match: { key: 'mail*' }, pool: 'mail' },
    { match: { key: 'nobody' }, pool: 'nobody' },
    { match: { key: 'gone' }, pool: 'gone' },
  ],
  pools: {
    mail: { handoff: 'never', backends: [{ id: 'mail-1', address: `127.0.0.1:${port}` }] },
    nobody: { handoff: 'auto', backends: [] },
    gone: { handoff: 'never', backends: [{ id: 'gone-1', address: '127.0.0.1:1' }] },
  },
  limits: { headBytes: 256, headTimeoutMs: 300 },
  admin: { address: '127.0.0.1:0' },
  log: { level: 'silent', accessLog: 'off' },
})

before(async () => {
  leave = enterNamespace('library')
  backend = createServer((socket) => {
    socket.on('data', (bytes) => socket.end(`got ${bytes.toString().trim()}\n`))
  }).listen(0, '127.0.0.1')
  await once(backend, 'listening')
  frontend = createFrontend(options((backend.address() as { port: number }).port))
  frontend.on('access', (record) => records.push(record))
  frontend.on('state', (state) => states.push(state))
  await frontend.start()
})
after(async () => {
  await frontend?.close()
  backend?.close()
  leave?.()
})

/** What a client of that listener gets that says this, and the record of its end. */
async function say(listener: string, text: string) {
  const earlier = records.length
  const socket = connect(frontend.addresses.get(listener)!.port, '127.0.0.1')
  let got = ''
  socket.on('data', (bytes) => {
    got += bytes
  })
  socket.write(text)
  await once(socket, 'close')
  await until('its record', () => records.length > earlier)
  return { got, record: records[earlier]! }
}

describe("a listener with a head reader of the program's own", () => {
  test('routes by the key that it found, and relays the bytes untouched where there is no agent', async () => {
    const { got, record } = await say('lines', 'TO mailbox\nhello')
    assert.equal(got, 'got TO mailbox\nhello\n')
    const { listener, method, path, host, route, pool, backend: id, how, reason, status } = record
    assert.deepEqual(
      [listener, method, path, host, route, pool, id, how, reason, status],
      ['lines', null, 'mailbox', null, 0, 'mail', 'mail-1', 'relay', 'pool_policy', null],
    )
    assert.deepEqual([record.bytesIn, record.bytesOut], [16, 21])
  })

  test('waits for a head that comes in pieces', async () => {
    const socket = connect(frontend.addresses.get('lines')!.port, '127.0.0.1')
    for (const piece of ['TO', ' ma', 'il', '\n']) {
      socket.write(piece)
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    const [bytes] = await once(socket, 'data')
    assert.equal(String(bytes), 'got TO mail\n')
    socket.destroy()
    await until('its record', () => records.at(-1)?.path === 'mail')
  })

  const refusals: readonly [what: string, text: string, code: string][] = [
    ['no route', 'TO elsewhere\n', 'BATON_NO_ROUTE'],
    ['no backend', 'TO nobody\n', 'BATON_NO_BACKEND'],
    ['a reader that says bad', 'FROM me\n', 'BATON_GATE_CUSTOM_HEAD'],
    ['a reader that throws', 'CRASH\n', 'BATON_GATE_READER'],
    ['a head that is too long', 'TO '.padEnd(300, 'x'), 'BATON_GATE_HEAD_TOO_LARGE'],
    ['a head that does not come to its end', 'TO mai', 'BATON_GATE_HEAD_TIMEOUT'],
  ]
  for (const [what, text, code] of refusals) {
    test(`${what}: the client is told in its own language`, async () => {
      const { got, record } = await say('lines', text)
      assert.equal(got, `NO ${code}\n`)
      assert.deepEqual([record.how, record.reason, record.status], ['reject', code, null])
      assert.equal(record.bytesOut, got.length)
    })
  }

  test('a backend that does not answer: told so, too', async () => {
    const { got, record } = await say('lines', 'TO gone\n')
    assert.equal(got, 'NO BATON_NO_BACKEND\n')
    assert.deepEqual([record.how, record.cause], ['relay', 'BATON_NO_BACKEND'])
  })

  test('without refuse(), and when it says too much, nothing is said', async () => {
    assert.equal((await say('mute', 'TO elsewhere\n')).got, '')
    assert.equal((await say('shouting', 'TO elsewhere\n')).got, '')
  })
})

describe('createFrontend()', () => {
  const good = options(1)
  const refused = (wrong: object, message: RegExp) =>
    assert.throws(
      () => createFrontend({ ...good, ...wrong } as FrontendOptions),
      (error: unknown) =>
        isBatonError(error) && error.code === 'BATON_CONFIG_INVALID' && message.test(error.message),
      String(message),
    )

  test('names the key of every mistake, and no line, since there is no file', () => {
    refused({ listenerz: [] }, /\ncreateFrontend\(\) listenerz: unknown key; did you mean "listeners"\?/)
    refused({ listeners: [] }, /\ncreateFrontend\(\) listeners: has none/)
    refused({ routes: 7 }, /\ncreateFrontend\(\) routes: is 7, expected a list/)
    refused({ limits: { headBytes: 1 } }, /limits\.headBytes: is 1, expected a whole number between 256/)
    refused(
      { pools: { mail: { backends: [{ id: 'a', agent: 'localhost:1' }] } } },
      /pools\.mail\.backends\[0\]\.agent: "localhost:1"/,
    )
    const two = { listeners: [{ name: 'a' }, { name: 'b', address: 'x' }] }
    refused(two, /listeners\[0\]: lacks "address"[\s\S]*listeners\[1\]\.address/)
    for (const nothing of [undefined, null, 7, 'x', []]) {
      assert.throws(() => createFrontend(nothing as never), { code: 'BATON_CONFIG_INVALID' })
    }
  })

  test('takes a protocol only with its reader', () => {
    const protocol = (wrong: unknown) => ({
      listeners: [{ name: 'lines', address: '127.0.0.1:0', protocol: wrong }],
    })
    const expected =
      /listeners\[0\]\.protocol: expected http, tls, tcp, or an object with a function readHead/
    for (const wrong of ['custom', {}, { readHead: 1 }, { ...lines, refuse: 'no' }, null]) {
      refused(protocol(wrong), wrong === null ? /listeners\[0\]\.protocol: is empty/ : expected)
    }
    refused(
      protocol(() => undefined),
      /listeners\[0\]\.protocol: is a function/,
    )
  })
})

describe('the life of a frontend', () => {
  const file = options(1)

  test('it is started once', async () => {
    await assert.rejects(frontend.start(), { code: 'BATON_FRONTEND_STATE' })
    assert.equal(frontend.state, 'running')
    assert.deepEqual(states, ['starting', 'running'])
    assert.equal(frontend.stats.id, 'front-1')
    assert.ok(frontend.adminAddress.port > 0)
  })

  test('close() and destroy() may come at any time and twice, and leave nothing that listens', async () => {
    const unstarted = createFrontend(file)
    await unstarted.close()
    await unstarted.destroy()
    await assert.rejects(unstarted.start(), { code: 'BATON_FRONTEND_STATE' })
    const one = createFrontend(file)
    const seen: string[] = []
    one.on('state', (state) => seen.push(state))
    await one.start()
    const port = one.addresses.get('lines')!.port
    await Promise.all([one.close(), one.close()])
    await one.destroy()
    assert.deepEqual(seen, ['starting', 'running', 'draining', 'stopped'])
    const [error] = await once(connect(port, '127.0.0.1'), 'error')
    assert.equal(error.code, 'ECONNREFUSED')
    const two = createFrontend(file)
    await Promise.all([two.start(), two.destroy()])
    assert.equal(two.state, 'stopped')
  })

  test('a listener of an event that throws is the program’s own uncaught exception, and harms nothing here', async () => {
    const uncaught: unknown[] = []
    const before = process.listeners('uncaughtException')
    process.removeAllListeners('uncaughtException')
    process.on('uncaughtException', (error) => uncaught.push(error))
    const one = createFrontend(file)
    one.on('state', (state) => {
      throw new Error(`at ${state}`)
    })
    await one.start()
    await one.close()
    await until('both', () => uncaught.length === 4)
    process.removeAllListeners('uncaughtException')
    for (const listener of before) process.on('uncaughtException', listener)
    assert.equal(String(uncaught[0]), 'Error: at starting')
    assert.equal(one.state, 'stopped')
  })
})
