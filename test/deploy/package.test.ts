import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, before, test } from 'node:test'
import { packageRoot } from '../../src/kernel/native.js'

// What `npm install baton-*.tgz` makes, but without a registry: the package itself is packed and unpacked, its
// dependencies are links to those of this checkout.
const folder = mkdtempSync(join(tmpdir(), 'btpkg'))
const installed = join(folder, 'node_modules/baton')
let files: string[] = []

before(() => {
  const args = ['pack', '--json', '--ignore-scripts', '--pack-destination', folder]
  const [packed] = JSON.parse(execFileSync('npm', args, { cwd: packageRoot, encoding: 'utf8' })) as {
    filename: string
    files: { path: string }[]
  }[]
  files = packed?.files.map(({ path }) => path) ?? []
  mkdirSync(installed, { recursive: true })
  execFileSync('tar', ['-xzf', join(folder, packed?.filename ?? ''), '-C', installed, '--strip-components=1'])
  const manifest = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8')) as {
    dependencies: Record<string, string>
  }
  for (const name of [...Object.keys(manifest.dependencies), '@types/node', 'undici-types']) {
    const target = join(packageRoot, 'node_modules', name)
    const link = join(folder, 'node_modules', name)
    mkdirSync(dirname(link), { recursive: true })
    if (existsSync(target)) symlinkSync(target, link)
  }
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }\n')
})
after(() => rmSync(folder, { recursive: true, force: true }))

/** A program of the package's user. */
function run(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: folder, encoding: 'utf8' })
  return { status, stdout, stderr }
}
const baton = (...args: string[]) => run(join(installed, 'dist/src/cli/main.js'), ...args)

test('the package has what it needs to run and to build its addon, and nothing of the workshop', () => {
  const wanted = [
    'README.md',
    'LICENSE',
    'binding.gyp',
    'deploy/build.mjs',
    'deploy/schema/frontend.json',
    'deploy/systemd/baton-agent.service',
    'dist/bpf/steering.bpf.o',
    'dist/bpf/adopt.bpf.o',
    'dist/src/index.js',
    'dist/src/index.d.ts',
    'dist/src/cli/main.js',
    'docs/configuration.md',
    'docs/library.md',
    'examples/http.js',
    'src/kernel/native/module.c',
  ]
  assert.deepEqual(
    wanted.filter((path) => !files.includes(path)),
    [],
  )
  const room =
    /^(?:dist\/src\/.*\.(?:js|d\.ts)|dist\/bpf\/[a-z]+\.bpf\.o|src\/kernel\/(?:native|bpf)\/\w[\w.]*\.[ch]|docs\/.*\.(?:md|svg|json)|examples\/(?:[a-z-]+\.js|README\.md)|deploy\/(?:build\.mjs|schema\/\w+\.json|systemd\/[a-z-]+\.service)|binding\.gyp|package\.json|[A-Z]+(?:\.md)?)$/
  assert.deepEqual(
    files.filter((path) => !room.test(path)),
    [],
  )
})

test('it is imported by its name; without the addon it says so, with a code', () => {
  const script = `
    import { createAgent, createFrontend, errorRegistry } from 'baton'
    console.log(typeof createAgent, typeof createFrontend)
    try { createFrontend({ listeners: [], routes: [] }) } catch (error) { console.log(error.code) }
    const pools = { web: { handoff: 'never', backends: [{ id: 'a', address: '127.0.0.1:1' }] } }
    const web = { name: 'web', address: '127.0.0.1:0' }
    try { createFrontend({ listeners: [web], routes: [{ match: {}, pool: 'web' }], pools, log: { accessLog: 'off' } }) }
    catch (error) { console.log(error.code, errorRegistry[error.code].action) }`
  const { stdout, stderr } = run('--input-type=module', '-e', script)
  assert.equal(stderr, '')
  const [kinds, wrong, addon] = stdout.split('\n')
  assert.equal(kinds, 'function function')
  assert.equal(wrong, 'BATON_CONFIG_INVALID')
  assert.match(addon ?? '', /^BATON_KERNEL_ADDON Run npx baton build on this machine/)
})

test('its declarations hold in a program of its user', () => {
  writeFileSync(
    join(folder, 'program.ts'),
    `import { createServer } from 'node:http'
import { type AccessRecord, type CustomProtocol, createAgent, createFrontend } from 'baton'
const lines: CustomProtocol = { readHead: (bytes) => ({ kind: 'head', headBytes: bytes.length, key: 'k' }) }
const frontend = createFrontend({
  listeners: [{ name: 'lines', address: '10.0.0.100:7000', protocol: lines }],
  routes: [{ match: { key: '*' }, pool: 'a' }],
})
frontend.on('access', (record: AccessRecord) => console.log(record.bytesOut.toFixed(0)))
const agent = createAgent({
  id: 'a', pools: ['a'], vips: ['10.0.0.100'], server: createServer(),
  control: { address: '10.0.0.11:7400', tokenFile: 'token' },
})
agent.on('closed', ({ bytesIn, cause }) => console.log(bytesIn, cause))
const done: Promise<void> = agent.start()
console.log(done)
`,
  )
  assert.equal(compile('program.ts'), '')
  writeFileSync(
    join(folder, 'wrong.ts'),
    `import { createFrontend } from 'baton'
createFrontend({ listeners: [], routes: [], pool: {} })
createFrontend({ listeners: [], routes: [] }).on('excess', () => undefined)
`,
  )
  const errors = compile('wrong.ts')
  assert.match(errors, /^wrong\.ts\(2,45\): error .*'pool' does not exist in type 'FrontendOptions'/)
  assert.match(errors, /\nwrong\.ts\(3,/)
})

/** What the compiler says of a file. */
function compile(file: string): string {
  const tsc = join(packageRoot, 'node_modules/typescript/bin/tsc')
  const flags = [
    '--noEmit',
    '--strict',
    '--exactOptionalPropertyTypes',
    '--module',
    'nodenext',
    '--target',
    'es2023',
  ]
  return run(tsc, ...flags, '--types', 'node', file).stdout
}

test('its command says what it can do, and builds the addon', () => {
  const help = baton('--help')
  assert.equal(help.status, 0)
  assert.match(help.stdout, /^ {2}build +compile the native addon/m)
  const built = baton('build')
  assert.equal(built.status, 0, built.stderr)
  assert.match(built.stdout, /node_modules\/baton\/build\/Release\/baton\.node is there\n$/)
  assert.ok(existsSync(join(installed, 'dist/src/index.js')))
  const script = `
    import { createFrontend } from 'baton'
    const pools = { web: { handoff: 'never', backends: [{ id: 'a', address: '127.0.0.1:1' }] } }
    const frontend = createFrontend({
      listeners: [{ name: 'web', address: '127.0.0.1:0' }],
      routes: [{ match: {}, pool: 'web' }],
      pools,
      admin: { address: '127.0.0.1:0' },
      log: { level: 'silent', accessLog: 'off' },
    })
    await frontend.start()
    console.log(frontend.state, frontend.addresses.get('web').port > 0)
    await frontend.close()`
  assert.equal(run('--input-type=module', '-e', script).stdout, 'running true\n')
})
