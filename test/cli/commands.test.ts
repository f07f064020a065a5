import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { commands } from '../../src/cli/commands.js'
import { baton, lines } from './baton.js'

const names = Object.keys(commands)

describe('baton --help', () => {
  test('names every command in lines that fit a terminal', async () => {
    const { code, stdout, stderr } = await baton(['--help'])
    assert.equal(code, 0)
    assert.equal(stderr, '')
    for (const name of names) assert.match(stdout, new RegExp(`^ {2}${name} +\\S`, 'm'))
    for (const line of lines(stdout)) assert.ok(line.length <= 110, line)
  })

  test('of each command: usage, what it does, its options and an example', async () => {
    const pages = await Promise.all(names.map((name) => baton([name, '--help'])))
    for (const [index, { code, stdout, stderr }] of pages.entries()) {
      assert.equal(code, 0)
      assert.equal(stderr, '')
      assert.ok(stdout.startsWith(`Usage: baton ${names[index]}`), stdout)
      assert.match(stdout, /\nOptions:\n {2}-/)
      assert.match(stdout, /\nExamples:\n {2}(baton|npm)/)
    }
    assert.equal((await baton(['help', 'check'])).stdout, pages[names.indexOf('check')]?.stdout)
  })

  test('without a command prints the same, as a mistake', async () => {
    const { code, stdout } = await baton([])
    assert.equal(code, 2)
    assert.match(stdout, /Usage: baton COMMAND/)
  })

  test('--version', async () => {
    assert.match((await baton(['--version'])).stdout, /^baton \d+\.\d+\.\d+\n$/)
  })
})

const wrong: readonly (readonly [args: readonly string[], says: RegExp])[] = [
  [['fronted'], /no command "fronted"/],
  [['help', 'fronted'], /no command "fronted"/],
  [['toString'], /no command "toString"/],
  [['frontend'], /frontend needs its configuration: -c FILE; see baton frontend --help/],
  [['agent'], /agent needs its configuration/],
  [['detach'], /detach needs its configuration/],
  [['frontend', '-c'], /--config .*argument missing/],
  [['frontend', '--confg', 'x'], /Unknown option '--confg'/],
  [['frontend', '-c', 'x', 'y'], /Unexpected argument 'y'/],
  [['doctor', 'extra'], /Unexpected argument 'extra'/],
  [['check'], /check needs a file/],
  [['check', '--jsn', 'x'], /Unknown option '--jsn'/],
  [['status', '--admin'], /--admin .*argument missing/],
  [['status', '--admin', 'no url at all'], /--admin takes ADDRESS:PORT or a URL/],
  [['demo', '--fast'], /Unknown option '--fast'/],
]

describe('a wrong command line gets exit code 2 and one line', () => {
  for (const [args, says] of wrong) {
    test(`baton ${args.join(' ')}`, async () => {
      const { code, stdout, stderr } = await baton(args)
      assert.equal(code, 2)
      assert.equal(stdout, '')
      assert.deepEqual(lines(stderr).length, 1, stderr)
      assert.match(stderr, says)
      assert.match(stderr, /^baton: /)
    })
  }
})

describe('configuration files', () => {
  let folder: string
  const write = (name: string, text: string) => {
    writeFileSync(join(folder, name), text, { mode: 0o600 })
    return join(folder, name)
  }
  const good = `id: front-1
listeners: [{ name: web, address: "10.0.0.100:80" }]
routes: [{ match: {}, pool: web }]
pools: { web: { handoff: never, backends: [{ id: web-1, address: "10.0.0.11:8080" }] } }
`
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'baton-cli-'))
  })
  after(() => rmSync(folder, { recursive: true }))

  for (const command of ['frontend', 'agent', 'detach', 'doctor']) {
    test(`baton ${command} says which file it cannot read`, async () => {
      const { code, stderr } = await baton([command, '-c', join(folder, 'absent.yaml')])
      assert.equal(code, 1)
      assert.match(stderr, /absent\.yaml.*ENOENT/)
      assert.doesNotMatch(stderr, /\n {4}at /)
    })
    test(`baton ${command} names the place of a mistake`, async () => {
      const file = write('bad.yaml', good.replace('pool: web', 'pool: wbe'))
      const { code, stderr } = await baton([command, '-c', file])
      assert.equal(code, 1)
      assert.match(stderr, command === 'agent' ? /bad\.yaml:\d+:\d+ / : /bad\.yaml:3:\d+ routes\[0\]\.pool: /)
      assert.doesNotMatch(stderr, /\n {4}at /)
    })
  }

  test('baton check: good files are named with their kind, bad ones with each mistake', async () => {
    const fine = write('fine.yaml', good)
    const bad = write(
      'two.yaml',
      good.replace('pool: web', 'pool: wbe').replace('id: front-1', 'idd: front-1'),
    )
    const one = await baton(['check', fine])
    assert.deepEqual([one.code, one.stdout, one.stderr], [0, `${fine}: ok (frontend)\n`, ''])
    const both = await baton(['check', fine, bad])
    assert.equal(both.code, 1)
    assert.equal(both.stdout, `${fine}: ok (frontend)\n`)
    assert.deepEqual(
      lines(both.stderr)
        .map((line) => line.replace(`${bad}:`, '').split(' ')[0])
        .sort(),
      ['1:1', '3:29'],
    )
  })

  test('baton check --json: one object, every problem with its place', async () => {
    const bad = write('json.yaml', good.replace('pool: web', 'pool: wbe'))
    const { code, stdout } = await baton(['check', '--json', bad])
    assert.equal(code, 1)
    const report = JSON.parse(stdout) as { ok: boolean; problems: Record<string, unknown>[] }
    assert.equal(report.ok, false)
    assert.deepEqual(
      report.problems.map(({ file, line, path, severity }) => [file, line, path, severity]),
      [[bad, 3, 'routes[0].pool', 'error']],
    )
    const fine = await baton(['check', '--json', write('fine.yaml', good)])
    assert.deepEqual([fine.code, JSON.parse(fine.stdout)], [0, { ok: true, problems: [] }])
  })
})

test('baton status where nothing listens: one line, exit 1', async () => {
  const { code, stdout, stderr } = await baton(['status', '--admin', '127.0.0.1:1'])
  assert.equal(code, 1)
  assert.equal(stdout, '')
  assert.equal(lines(stderr).length, 1)
  assert.match(stderr, /no Baton process answers at http:\/\/127\.0\.0\.1:1\/.*--admin/)
})
