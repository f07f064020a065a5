import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { createServer, Socket } from 'node:net'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { BatonError, type ErrorCode } from '../../src/errors/index.js'
import { packageRoot } from '../../src/kernel/native.js'
import { discard, freeze, thaw } from '../../src/repair/index.js'
import { descriptor } from './connection.js'
import { Crossroads } from './crossroads.js'

let world: Crossroads
before(() => {
  world = new Crossroads('btrepr')
})
after(() => world.dispose())

const alone = [process.execPath, join(packageRoot, 'dist/test/repair/fixtures/alone.js')] as const
const pair = ['perl', join(packageRoot, 'test/repair/fixtures/pair.pl')] as const

function refuses(code: ErrorCode, fd: number): void {
  assert.throws(
    () => freeze(fd),
    (error) => error instanceof BatonError && error.code === code && error.message.length > 20,
    code,
  )
}

async function inProcess(...command: readonly string[]): Promise<unknown> {
  const [program = '', ...args] = command
  return JSON.parse(await world.a.run(program, args, { timeoutMs: 20_000 }))
}

/** Both ends as sockets of Node, so that they can be shut down. */
async function sockets(): Promise<{ client: Socket; server: Socket }> {
  const listener = createServer({ pauseOnConnect: true, allowHalfOpen: true })
  listener.listen(0, '127.0.0.1')
  await new Promise((resolve) => listener.once('listening', resolve))
  const address = listener.address()
  assert.ok(typeof address === 'object' && address !== null)
  const accepted = new Promise<Socket>((resolve) => listener.once('connection', resolve))
  const client = new Socket({ allowHalfOpen: true })
  client.pause()
  client.connect(address.port, '127.0.0.1')
  const server = await accepted
  listener.close()
  for (const socket of [client, server]) socket.on('error', () => {})
  return { client, server }
}

test('a listening socket is refused, and goes on listening', async () => {
  const server = await world.listen(world.a, 'ipv4', 8080)
  refuses('BATON_FREEZE_LISTENING', descriptor(server))
  const client = new Socket()
  client.connect(8080, '10.9.9.9')
  await new Promise((resolve, reject) => client.once('connect', resolve).once('error', reject))
  client.destroy()
  server.close()
})

test('a client that has ended its direction is refused, and still gets its answer', async () => {
  const { client, server } = await sockets()
  client.end('last words')
  await delay(20)
  refuses('BATON_FREEZE_HALF_CLOSED', descriptor(server))
  server.end('answer')
  client.resume()
  const answer: Buffer[] = []
  client.on('data', (chunk: Buffer) => answer.push(chunk))
  await new Promise((resolve) => client.once('end', resolve))
  assert.equal(Buffer.concat(answer).toString(), 'answer')
  server.destroy()
})

test('a connection that we have ended, or that was reset, is refused', async () => {
  const ended = await sockets()
  ended.server.end('goodbye')
  await delay(20)
  refuses('BATON_FREEZE_STATE', descriptor(ended.server))
  ended.client.destroy()
  const reset = await sockets()
  reset.client.resetAndDestroy()
  await delay(20)
  refuses('BATON_FREEZE_STATE', descriptor(reset.server))
  reset.server.destroy()
})

test('what is no TCP socket is refused by every call', () => {
  const file = openSync('/dev/null', 'r')
  for (const fd of [file, -1, 1 << 30]) {
    refuses('BATON_FREEZE_NOT_TCP', fd)
    assert.throws(() => thaw(fd), { code: 'BATON_THAW_FAILED' })
    assert.throws(() => discard(fd), { code: 'BATON_DISCARD_FAILED' })
  }
  closeSync(file)
})

test('a multipath TCP connection is refused, and goes on', async () => {
  const result = await inProcess(...pair, 'mptcp', ...alone, 'refused', 'inherited')
  assert.deepEqual(result, { code: 'BATON_FREEZE_MPTCP', alive: true })
})

test('a connection with urgent data is refused, and goes on', async () => {
  const result = await inProcess(...pair, 'urgent', ...alone, 'refused', 'inherited')
  assert.deepEqual(result, { code: 'BATON_FREEZE_URGENT', alive: true })
})

test('without CAP_NET_ADMIN the connection is refused, and goes on', async () => {
  const fewer = ['setpriv', '--bounding-set=-net_admin', '--inh-caps=-net_admin']
  const result = await inProcess(...fewer, ...alone, 'refused')
  assert.deepEqual(result, { code: 'BATON_REPAIR_PRIVILEGE', alive: true })
})

test('the lock is one eBPF program for the whole process', async () => {
  assert.deepEqual(await inProcess(...alone, 'locks'), { alive: true, programs: 1 })
})

test('where eBPF is not permitted the lock holds all the same', async () => {
  const unprivileged = readFileSync('/proc/sys/kernel/unprivileged_bpf_disabled', 'latin1').trim() === '0'
  const without = '-bpf,-sys_admin'
  const fewer = ['setpriv', `--bounding-set=${without}`, `--inh-caps=${without}`]
  const result = await inProcess(...fewer, ...alone, 'locks')
  assert.deepEqual(result, { alive: true, programs: unprivileged ? 1 : 0 })
})

const ownUserNamespace = (...command: string[]) => [
  ...['unshare', '--user', '--map-root-user', '--net', 'sh', '-c', 'ip link set lo up && exec "$@"', 'sh'],
  ...command,
]

/** A chroot and some containers forbid user namespaces: what they would show cannot be seen there. */
const noUserNamespaces = spawnSync('unshare', ['--user', 'true']).status !== 0 && 'no user namespaces here'

test('CAP_NET_ADMIN in a user namespace of its own is enough', { skip: noUserNamespaces }, async () => {
  assert.deepEqual(await inProcess(...ownUserNamespace(...alone, 'works')), { alive: true })
})

test('queues that the limits of the system do not let in are refused', {
  skip: noUserNamespaces,
}, async () => {
  const result = await inProcess(...ownUserNamespace(...alone, 'buffers'))
  const step = 'fill receive queue'
  assert.deepEqual(result, { code: 'BATON_RESTORE_BUFFERS', step, sending: 'fill send queue', alive: true })
})

test('without descriptors a restore is refused, and the giver goes on', async () => {
  const result = await inProcess('prlimit', '--nofile=60', ...alone, 'descriptors')
  assert.deepEqual(result, { code: 'BATON_RESTORE_DESCRIPTORS', step: 'socket', alive: true })
})
