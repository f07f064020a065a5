import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { isBatonError } from '../../src/errors/index.js'
import { type Host, Lab } from '../../src/lab/index.js'

let lab: Lab
let host: Host

before(() => {
  lab = Lab.create({ prefix: 'btlabprog' })
  host = lab.host('a')
})
after(() => lab.dispose())

test('exec gives output, input and exit code of a program inside', async () => {
  const done = await host.exec('sh', ['-c', 'cat; echo oops >&2; ip -br link; exit 3'], { input: 'hello\n' })
  assert.equal(done.code, 3)
  assert.match(done.stdout, /^hello\nlo /)
  assert.doesNotMatch(done.stdout, /eth0/)
  assert.equal(done.stderr, 'oops\n')
  assert.equal(done.timedOut, false)
})

test('exec ends a program that takes too long, and says so', async () => {
  const done = await host.exec('sleep', ['30'], { timeoutMs: 50 })
  assert.equal(done.timedOut, true)
  assert.equal(done.signal, 'SIGKILL')
})

test('exec keeps no more output than it was told to, and says so', async () => {
  const done = await host.exec('head', ['-c', '5000000', '/dev/zero'], { maxOutputBytes: 100_000 })
  assert.equal(done.code, 0)
  assert.equal(done.truncated, true)
  assert.ok(done.stdout.length < 300_000)
})

test('run throws the stderr of a program that fails', async () => {
  await assert.rejects(host.run('sh', ['-c', 'echo because >&2; exit 1']), (error: unknown) => {
    assert.ok(isBatonError(error, 'BATON_LAB_COMMAND'))
    assert.match(error.message, /because/)
    return true
  })
})

test('a program is waited for by its output and by its port', async () => {
  const script =
    "const s = require('net').createServer().listen(7000, () => console.log('ready on ' + s.address().port))"
  const program = host.spawn(process.execPath, ['-e', script])
  const match = await program.waitFor({ output: /ready on (\d+)/, port: 7000 })
  assert.equal(match?.[1], '7000')
  assert.ok(host.isListening(7000))
  assert.ok(host.processes.has(program))
  process.kill(program.pid, 'SIGKILL') // the pid is the program's own, not a wrapper's
  assert.deepEqual(await program.exited, { code: null, signal: 'SIGKILL' })
  assert.equal(program.running, false)
  assert.equal(program.kill(), false)
  assert.equal(host.processes.has(program), false)
  assert.equal(host.isListening(7000), false)
})

test('waiting for a program that ends is an error with its last words', async () => {
  const program = host.spawn('sh', ['-c', 'echo no such file >&2; exit 4'])
  await assert.rejects(program.waitFor({ port: 9 }), (error: unknown) => {
    assert.ok(isBatonError(error, 'BATON_LAB_EXITED'))
    assert.match(error.message, /sh on a.*exit 4[\s\S]*no such file/)
    return true
  })
})

test('waiting in vain ends with an error', async () => {
  const program = host.spawn('sleep', ['30'])
  await assert.rejects(program.waitFor({ output: /never/, timeoutMs: 30 }), (error: unknown) =>
    isBatonError(error, 'BATON_LAB_TIMEOUT'),
  )
  assert.deepEqual(await program.stop(), { code: null, signal: 'SIGTERM' })
})

test('a program that ignores SIGTERM is stopped all the same', async () => {
  const program = host.spawn('sh', ['-c', "trap '' TERM; echo up; while :; do sleep 0.05; done"])
  await program.waitFor({ output: /up/ })
  assert.deepEqual(await program.stop(50), { code: null, signal: 'SIGKILL' })
})

test('a program that is not there is an exit code, not a hang', async () => {
  assert.equal((await host.exec('no-such-program')).code, 127)
  assert.equal((await host.spawn('no-such-program').exited).code, 127)
})
