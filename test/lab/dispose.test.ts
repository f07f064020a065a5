import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readFileSync, rmdirSync, statSync } from 'node:fs'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { isBatonError } from '../../src/errors/index.js'
import { cleanStale, Lab, listNamespaces } from '../../src/lab/index.js'

const namespacesOf = (lab: string) => listNamespaces().filter((name) => name.startsWith(`${lab}-`))

/** Waits, for 5 s at most, until the process has gone (a zombie has). */
async function gone(pid: number): Promise<boolean> {
  for (let turn = 0; turn < 500; turn++) {
    if (!existsSync(`/proc/${pid}`)) return true
    if (/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))) return true
    await sleep(10)
  }
  return false
}

/** Starts a process that owns a lab, and returns once the lab is up. */
async function owner(...args: string[]): Promise<{ child: ChildProcess; lab: string; pid: number }> {
  const script = fileURLToPath(new URL('fixtures/owner.js', import.meta.url))
  const child = spawn(process.execPath, [script, ...args], { stdio: ['ignore', 'pipe', 'ignore'] })
  const [line] = (await once(child.stdout!, 'data')) as [Buffer]
  const said = JSON.parse(line.toString()) as { lab: string; pid: number }
  return { child, ...said }
}

test('dispose ends the programs, removes the namespaces, and may be called again', async () => {
  const lab = Lab.create({ prefix: 'btlabgone' })
  const host = lab.host('a')
  lab.link({ host, addresses: ['10.9.0.1/24'] }, { host: lab.host('b') })
  const quiet = host.spawn('sleep', ['60'])
  // A grandchild that nobody here knows of, in its own session.
  const parent = host.spawn('sh', ['-c', 'setsid sleep 61 & echo child $!; wait'])
  const match = await parent.waitFor({ output: /child (\d+)/ })
  assert.equal(namespacesOf(lab.name).length, 2)
  await lab.dispose()
  assert.deepEqual(namespacesOf(lab.name), [])
  assert.equal(quiet.running, false)
  assert.ok(await gone(Number(match?.[1])))
  await lab.dispose()
  lab.disposeNow()
  const late = (error: unknown) => isBatonError(error, 'BATON_LAB_DISPOSED')
  assert.throws(() => lab.host('c'), late)
  assert.throws(() => host.spawn('true'), late)
  await assert.rejects(host.exec('true'), late)
})

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  test(`${signal} to the owner cleans up, and the owner still dies of it`, async () => {
    const { child, lab, pid } = await owner()
    assert.equal(namespacesOf(lab).length, 2)
    child.kill(signal)
    assert.deepEqual(await once(child, 'exit'), [null, signal])
    assert.deepEqual(namespacesOf(lab), [])
    assert.ok(await gone(pid))
  })
}

test('an uncaught error in the owner cleans up', async () => {
  const { child, lab, pid } = await owner('throw')
  const [code] = child.exitCode === null ? await once(child, 'exit') : [child.exitCode]
  assert.equal(code, 1)
  assert.deepEqual(namespacesOf(lab), [])
  assert.ok(await gone(pid))
})

test('after SIGKILL the programs die with their owner, and the next clean-up removes the rest', async () => {
  const own = Lab.create({ prefix: 'btlabalive' })
  own.host('a')
  const { child, lab, pid } = await owner()
  child.kill('SIGKILL')
  await once(child, 'exit')
  assert.ok(await gone(pid))
  assert.equal(namespacesOf(lab).length, 2)
  const traces = (name: string) => {
    const inode = statSync(`/run/netns/${name}-a`).ino
    return [`/run/baton/${name}`, `/sys/fs/bpf/${name}-front-1`, `/sys/fs/bpf/baton-adopt-x-${inode}`]
  }
  const [left, kept] = [traces(lab), traces(own.name)]
  for (const folder of [...left, ...kept]) mkdirSync(folder, { recursive: true })
  const removed = cleanStale()
  assert.ok(removed.includes(`${lab}-a`) && removed.includes(`${lab}-b`))
  assert.deepEqual(namespacesOf(lab), [])
  assert.deepEqual(left.filter(existsSync), [])
  assert.equal(namespacesOf(own.name).length, 1) // a living owner keeps its lab
  assert.deepEqual(kept.filter(existsSync), kept)
  await own.dispose()
  const [folder = '', pins = '', adopted = ''] = kept
  assert.equal(existsSync(adopted), false)
  for (const path of [folder, pins]) rmdirSync(path)
})
