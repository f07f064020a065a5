import assert from 'node:assert/strict'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import {
  checkFile,
  checkFrontendText,
  detectKind,
  formatProblem,
  loadAgentConfig,
  loadControlAuth,
  loadFrontendConfig,
  parseAgentConfig,
  parseFrontendConfig,
} from '../../src/config/index.js'
import { agentYaml, change, frontendYaml } from './support.js'

/** A placeholder as it stands in a file. */
const env = (name: string) => `\${${name}}`

describe('configuration files', () => {
  let folder = ''
  const at = (name: string) => join(folder, name)
  const write = (name: string, text: string, mode = 0o600) => {
    writeFileSync(at(name), text)
    chmodSync(at(name), mode)
    return at(name)
  }
  const token = 'a'.repeat(40)
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'baton-config-'))
    write('token', `${token}\n`)
  })
  after(() => rmSync(folder, { recursive: true, force: true }))

  test('a frontend.yaml with its defaults', () => {
    const { pools, ...config } = loadFrontendConfig(write('frontend.yaml', frontendYaml))
    assert.deepEqual(config, {
      id: hostname(),
      listeners: [
        { name: 'web', address: { address: '10.0.0.100', port: 80 }, protocol: 'http', backlog: 4096 },
        { name: 'web6', address: { address: 'fd00::100', port: 80 }, protocol: 'http', backlog: 4096 },
      ],
      routes: [
        { match: { host: '*.video.example', path: { prefix: '/v/' } }, pool: 'media' },
        { match: {}, pool: 'web' },
      ],
      limits: { headBytes: 16384, headTimeoutMs: 10000, maxConnections: 65536, maxConnectionsPerClient: 0 },
      timeouts: {
        connectTimeoutMs: 3000,
        responseTimeoutMs: 60000,
        idleTimeoutMs: 60000,
        drainTimeoutMs: 30000,
      },
      handoff: { budgetMs: 1000, unknownTimeoutMs: 10000 },
      steering: {
        interface: 'eth0',
        attach: 'auto',
        pinPath: '/sys/fs/bpf/baton',
        maxFlows: 1_048_576,
        lingerMs: 60000,
        idleMs: 600000,
      },
      registry: { kind: 'memory' },
      control: { tokenFile: at('token') },
      admin: { address: { address: '127.0.0.1', port: 9900 } },
      log: { level: 'info', accessLog: '-', accessLogFormat: 'json' },
    })
    assert.deepEqual(
      [...pools],
      [
        [
          'media',
          {
            balance: 'roundRobin',
            handoff: 'auto',
            proxyProtocol: 'off',
            backends: [
              {
                id: 'media-1',
                agent: { address: '10.0.0.11', port: 7400 },
                address: { address: '10.0.0.11', port: 8080 },
                weight: 1,
              },
            ],
          },
        ],
        [
          'web',
          {
            balance: 'roundRobin',
            handoff: 'never',
            proxyProtocol: 'off',
            backends: [{ id: 'web-1', address: { address: '10.0.0.21', port: 8080 }, weight: 1 }],
          },
        ],
      ],
    )
  })

  test('an agent.yaml with its defaults', () => {
    assert.deepEqual(loadAgentConfig(write('agent.yaml', agentYaml)), {
      id: 'media-1',
      pools: ['media'],
      weight: 1,
      control: { address: { address: '10.0.0.11', port: 7400 }, tokenFile: at('token') },
      vips: ['10.0.0.100', 'fd00::100'],
      hostSetup: 'apply',
      deliver: {
        kind: 'http',
        address: { address: '127.0.0.1', port: 8080 },
        connectTimeoutMs: 3000,
        responseTimeoutMs: 60000,
      },
      capacity: 1024,
      limits: { headBytes: 16384, maxConnections: 0 },
      timeouts: {
        keepAliveTimeoutMs: 60000,
        headTimeoutMs: 10000,
        idleTimeoutMs: 300000,
        drainTimeoutMs: 30000,
      },
      registry: { kind: 'memory' },
      admin: { address: { address: '127.0.0.1', port: 9901 } },
      log: { level: 'info' },
    })
  })

  test('mistakes are thrown with all their lines, warnings are not', () => {
    const path = write(
      'bad.yaml',
      change(change(frontendYaml, 'name: web,', 'nam: web,'), 'pool: media }', 'pool: meda }'),
    )
    assert.throws(
      () => loadFrontendConfig(path),
      (error: Error & { code?: string }) => {
        assert.equal(error.code, 'BATON_CONFIG_INVALID')
        assert.ok(
          error.message.includes(`${path}:2:5 listeners[0]: lacks "name": Its name in logs and metrics`),
        )
        assert.ok(error.message.includes(`${path}:2:7 listeners[0].nam: unknown key; did you mean "name"?`))
        return true
      },
    )
    const warned = `${frontendYaml}`.replace(
      'match: {}',
      'match: { host: "*.video.example", path: { prefix: /v/ } }',
    )
    assert.equal(loadFrontendConfig(write('warned.yaml', warned)).routes.length, 2)
    assert.throws(() => loadFrontendConfig(at('none.yaml')), { code: 'BATON_CONFIG_UNREADABLE' })
    assert.throws(() => loadFrontendConfig(folder), { code: 'BATON_CONFIG_UNREADABLE' })
    assert.throws(
      () =>
        loadAgentConfig(
          write('inline.yaml', change(agentYaml, 'kind: http, address: "127.0.0.1:8080"', 'kind: inline')),
        ),
      {
        code: 'BATON_CONFIG_INVALID',
        message: /inline\.yaml:5:18 deliver\.kind: inline is for createAgent/,
      },
    )
  })

  test('baton check reads both kinds', () => {
    assert.deepEqual(checkFile(write('ok.yaml', frontendYaml)), { ok: true, kind: 'frontend', problems: [] })
    assert.deepEqual(checkFile(write('ok2.yaml', agentYaml)), { ok: true, kind: 'agent', problems: [] })
    const lines = (path: string) => {
      const { ok, problems } = checkFile(path)
      return [ok, ...problems.map(formatProblem)]
    }
    const other = write('other.yaml', 'hello: 1\n')
    assert.deepEqual(lines(other), [
      false,
      `${other}:1:1 is neither a frontend.yaml (listeners, routes, pools) nor an agent.yaml (id, vips, deliver)`,
    ])
    const broken = write('broken.yaml', 'listeners: [\n')
    assert.equal(lines(broken)[0], false)
    assert.match(String(lines(broken)[1]), /broken\.yaml:2:1 /)
    assert.match(String(lines(at('none.yaml'))[1]), /none\.yaml:1:1 .*ENOENT/)
    const warned = write(
      'warned2.yaml',
      `${frontendYaml}`.replace('match: {}', 'match: { host: "*.video.example", path: { prefix: /v/ } }'),
    )
    assert.equal(lines(warned)[0], true)
    assert.match(String(lines(warned)[1]), /warning: routes\[1\]: is never reached/)
    assert.equal(detectKind('pools: {}\nid: x\n'), undefined)
  })

  test('a token file that is missing, short, unfit or open to others', () => {
    const path = at('frontend2.yaml')
    const problems = (name: string) => {
      write('frontend2.yaml', change(frontendYaml, 'tokenFile: token', `tokenFile: ${name}`))
      return checkFile(path).problems.map(({ severity, message }) => `${severity}: ${message}`)
    }
    assert.match(problems('no-token')[0] ?? '', /^error: ENOENT/)
    write('short', 'abc\n')
    assert.deepEqual(problems('short'), [
      `error: ${at('short')}: the token has 3 characters, expected at least 32`,
    ])
    write('spaces', `${'a b '.repeat(20)}\n`)
    assert.match(problems('spaces')[0] ?? '', /^error: .*the token holds a character outside/)
    write('open', token, 0o644)
    assert.deepEqual(problems('open'), [
      `warning: everybody on this host may read ${at('open')}; chmod 600 ${at('open')}`,
    ])
    write('writable', token, 0o606)
    assert.deepEqual(problems('writable'), [
      `error: everybody may write ${at('writable')}; chmod o-rwx ${at('writable')}`,
    ])
    assert.deepEqual(problems('token'), [])
    for (const name of ['short', 'spaces'])
      assert.ok(!problems(name).join().includes('a b'), 'the token is not shown')
  })

  test('what proves who we are is read when it is needed', () => {
    assert.deepEqual(loadControlAuth({ tokenFile: at('token') }), { kind: 'token', token })
    assert.throws(() => loadControlAuth({ tokenFile: write('short2', 'abc') }), {
      code: 'BATON_CONFIG_SECRET',
    })
    assert.throws(() => loadControlAuth({ tokenFile: at('none') }), { code: 'BATON_CONFIG_SECRET' })
    const pem = (kind: string) => `-----BEGIN ${kind}-----\nAAAA\n-----END ${kind}-----\n`
    const tls = {
      certFile: write('cert.pem', pem('CERTIFICATE'), 0o644),
      keyFile: write('key.pem', pem('PRIVATE KEY')),
      caFile: write('ca.pem', pem('CERTIFICATE'), 0o644),
    }
    assert.deepEqual(loadControlAuth({ tls }), {
      kind: 'tls',
      cert: pem('CERTIFICATE'),
      key: pem('PRIVATE KEY'),
      ca: pem('CERTIFICATE'),
    })
    const yaml = (keys: string) => change(frontendYaml, '{ tokenFile: token }', `{ tls: { ${keys} } }`)
    const problems = (keys: string) =>
      checkFrontendText(yaml(keys), { folder }).problems.map(({ path, message }) => `${path}: ${message}`)
    assert.deepEqual(problems('certFile: cert.pem, keyFile: key.pem, caFile: ca.pem'), [])
    assert.deepEqual(problems('certFile: key.pem, keyFile: cert.pem, caFile: ca.pem'), [
      `control.tls.certFile: ${at('key.pem')} holds no PEM certificate`,
      `control.tls.keyFile: everybody on this host may read ${at('cert.pem')}; chmod 600 ${at('cert.pem')}`,
      `control.tls.keyFile: ${at('cert.pem')} holds no PEM private key`,
    ])
  })

  test('a Redis URL with its password from the environment or a file; it is never shown', () => {
    const yaml = (registry: string) => `${frontendYaml}registry: { kind: redis, ${registry} }\n`
    const options = { folder, checkFiles: false, environment: { REDIS_PASSWORD: 'p%40ss', EMPTY: '' } }
    const target = (registry: string) => {
      const config = parseFrontendConfig(yaml(registry), options)
      return config.registry.kind === 'redis' ? [config.registry.target, config.registry.keyPrefix] : []
    }
    const expected = {
      mode: 'single',
      tls: false,
      nodes: [{ host: '10.0.0.5', port: 6379 }],
      username: undefined,
      password: 'p@ss',
      db: 2,
      master: undefined,
    }
    assert.deepEqual(target(`url: "redis://:${env('REDIS_PASSWORD')}@10.0.0.5/2"`), [expected, 'baton:'])
    write('url', 'redis://:p%40ss@10.0.0.5/2\n')
    assert.deepEqual(target('urlFile: url, keyPrefix: "x:"'), [expected, 'x:'])
    const problems = (registry: string) =>
      checkFrontendText(yaml(registry), options).problems.map(({ path, message }) => `${path}: ${message}`)
    assert.deepEqual(problems(`url: "redis://:${env('MISSING')}@${env('EMPTY')}"`), [
      `registry.url: ${env('MISSING')}, ${env('EMPTY')} is not in the environment`,
    ])
    assert.deepEqual(problems('url: "redis://:se%zzcret@host"'), [
      'registry.url: user or password is not percent-encoded as it should be',
    ])
    assert.deepEqual(problems('url: "http://:secret@host"'), [
      'registry.url: scheme "http" is none of redis, rediss, redis+sentinel, rediss+sentinel, redis+cluster, rediss+cluster',
    ])
    write('bad-url', 'redis://:secret@a,b\n')
    for (const registry of ['urlFile: bad-url', `url: "redis://:${env('REDIS_PASSWORD')}@a,b"`]) {
      const [problem = ''] = problems(registry)
      assert.match(problem, /does not hold a Redis URL/)
      assert.ok(!problem.includes('secret') && !problem.includes('p%40ss'))
    }
  })

  test('with Redis a route may name a pool that only agents know', () => {
    const text = change(frontendYaml, 'pool: web }', 'pool: elsewhere }')
    const options = { folder, environment: {} }
    assert.throws(() => parseFrontendConfig(text, options), { code: 'BATON_CONFIG_INVALID' })
    const config = parseFrontendConfig(`${text}registry: { kind: redis, url: "redis://r" }\n`, options)
    assert.deepEqual(config.pools.get('elsewhere'), {
      balance: 'roundRobin',
      handoff: 'auto',
      proxyProtocol: 'off',
      backends: [],
    })
  })

  test('JSON is YAML: settings of a program go through the same door', () => {
    const settings = {
      id: 'a',
      pools: ['p'],
      vips: ['10.0.0.1'],
      deliver: { kind: 'inline' },
      control: { address: '127.0.0.1:0', tokenFile: at('token') },
    }
    const config = parseAgentConfig(JSON.stringify(settings), { file: 'createAgent()' })
    assert.deepEqual(config.control.address, { address: '127.0.0.1', port: 0 })
    assert.throws(
      () => parseAgentConfig(JSON.stringify({ ...settings, vip: 1 }), { file: 'createAgent()' }),
      {
        message: /createAgent\(\):1:\d+ vip: unknown key; did you mean "vips"\?/,
      },
    )
  })
})
