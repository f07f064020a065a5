import assert from 'node:assert/strict'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { packageRoot } from '../../src/kernel/native.js'

const folder = join(packageRoot, 'examples')
let lab: ChildProcess
/** What it prints: a command for each example, to be run as it stands. */
const commands = new Map<string, string>()
let output = ''
const talking: ChildProcess[] = []

before(async () => {
  lab = spawn(process.execPath, [join(folder, 'lab.js')], { stdio: ['ignore', 'pipe', 'inherit'] })
  lab.stdout?.on('data', (bytes) => {
    output += bytes
  })
  await until('the lab is ready', () => /^ready: .*\n/m.test(output))
  for (const line of output.split('\n')) {
    const [, name, command] = /^(\w+) +(nsenter .+)$/.exec(line) ?? []
    if (name !== undefined && command !== undefined) commands.set(name, command)
  }
})
after(async () => {
  for (const one of talking) one.kill('SIGKILL')
  lab.kill('SIGTERM')
  if (lab.exitCode === null) await once(lab, 'exit')
})

async function until(what: string, holds: () => boolean): Promise<void> {
  const giveUpMs = performance.now() + 60_000
  while (!holds()) {
    if (performance.now() > giveUpMs) throw new Error(`waited in vain for: ${what}\n${output}`)
    await sleep(20)
  }
}

/** Runs the printed command. */
function tried(name: string): string {
  const command = commands.get(name)
  assert.ok(command !== undefined, `no command for ${name}: ${output}`)
  const { stdout, stderr } = spawnSync('bash', ['-c', command], { encoding: 'utf8', timeout: 30_000 })
  assert.equal(stderr, '')
  return stdout
}

/** A program of the client's host that is talked to, and what it has said so far. */
function talk(command: string) {
  const child = spawn('bash', ['-c', `exec ${command}`], { stdio: ['pipe', 'pipe', 'inherit'] })
  talking.push(child)
  const heard = { text: '', say: (line: string) => child.stdin.write(`${line}\n`), child }
  child.stdout.on('data', (bytes) => {
    heard.text += bytes
  })
  return heard
}

const clientHost = () => /^nsenter \S+/.exec(commands.get('http') ?? '')?.[0] ?? ''

test('every example stands in the README, and has said in its first line what it shows', () => {
  const readme = readFileSync(join(folder, 'README.md'), 'utf8')
  const programs = readdirSync(folder).filter((name) => name.endsWith('.js'))
  assert.ok(programs.length >= 10)
  for (const name of programs) {
    assert.ok(readme.includes(`\`${name}\``), name)
    assert.match(readFileSync(join(folder, name), 'utf8'), /^\/\/ \S/, name)
  }
})

test('the examples are typed: they hold against the declarations', () => {
  const tsc = join(packageRoot, 'node_modules/typescript/bin/tsc')
  const flags = ['--noEmit', '--allowJs', '--checkJs', '--strict', '--skipLibCheck', '--types', 'node']
  const files = readdirSync(folder)
    .filter((name) => name.endsWith('.js'))
    .map((name) => join('examples', name))
  const modules = ['--module', 'nodenext', '--target', 'es2023', '--ignoreConfig']
  const { stdout, status } = spawnSync(process.execPath, [tsc, ...flags, ...modules, ...files], {
    cwd: packageRoot,
    encoding: 'utf8',
  })
  assert.equal(stdout, '')
  assert.equal(status, 0)
})

describe('by the commands that the lab prints:', () => {
  test('http answers with the client’s own address', () => {
    assert.equal(tried('http'), 'hello 192.0.2.10, you asked for /any\n')
  })

  test('https shows its own certificate', () => {
    assert.equal(tried('https'), 'hello 192.0.2.10 over TLS\n')
  })

  test('fastify knows the client', () => {
    assert.deepEqual(JSON.parse(tried('fastify')), { hello: 'world', from: '192.0.2.10' })
  })

  test('the line protocol comes to its queue', () => {
    assert.equal(tried('lines'), 'OK mail\r\nOK 1\r\nhello\r\n')
    const stranger = (commands.get('lines') ?? '').replace('USE mail', 'USE news')
    const refused = spawnSync('bash', ['-c', stranger], { encoding: 'utf8' })
    assert.equal(refused.stdout, 'ERR BATON_NO_ROUTE\r\n')
  })

  test('a chat and an EventSource outlive the frontend', async () => {
    const [one, two] = [talk(commands.get('ws') ?? ''), talk(commands.get('ws') ?? '')]
    const undici = join(packageRoot, 'node_modules/undici/index.js')
    const script = `import undici from '${undici}'
      const source = new undici.EventSource('http://10.0.0.100/events')
      source.onopen = () => console.log('open')
      source.onmessage = ({ data }) => console.log(data)`
    const events = talk(`${clientHost()} ${process.execPath} --input-type=module -e "${script}"`)
    // Said again until both are there.
    for (let round = 0; round < 200 && !(one.text.includes('hello') && two.text.includes('hello')); round++) {
      one.say('hello')
      await sleep(50)
    }
    await until('events come', () => events.text.includes('\n3\n'))

    const pid = Number(/kill -9 (\d+)/.exec(output)?.[1])
    process.kill(pid, 'SIGKILL')
    await until('the frontend is gone', () => readdirSync('/proc').includes(String(pid)) === false)
    one.say('still here?')
    await until('the other hears', () => two.text.includes('still here?\n'))
    two.say('yes')
    await until('and answers', () => one.text.includes('yes\n'))
    const last = () => Number(events.text.trimEnd().split('\n').at(-1))
    const seen = last()
    await until('events go on', () => last() >= seen + 10)
    // One connection all the time: it was opened once, and no number is missing.
    const [open, ...numbers] = events.text.trimEnd().split('\n')
    assert.equal(open, 'open')
    assert.deepEqual(
      numbers.map(Number),
      numbers.map((_, index) => index + 1),
    )
  })
})
