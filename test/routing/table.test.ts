import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import {
  compileKeyRoutes,
  compileRoutes,
  compileTcpRoutes,
  compileTlsRoutes,
  parseRoutes,
  type RoutesDocument,
} from '../../src/routing/index.js'

type Match = RoutesDocument['routes'][number]['match']

/** A table whose pools are called by their position. */
function table(...matches: Match[]) {
  return compileRoutes({ version: 1, routes: matches.map((match, index) => ({ match, pool: `p${index}` })) })
}

describe('routes', () => {
  test('the first that matches decides', () => {
    const routes = table(
      { host: '*.video.example', path: { prefix: '/v/' } },
      { host: 'www.video.example' },
      { path: { exact: '/health' } },
      {},
    )
    assert.deepEqual(routes.match('www.video.example', '/v/1')?.pool, 'p0')
    assert.deepEqual(routes.match('www.video.example', '/v')?.pool, 'p1')
    assert.deepEqual(routes.match('other.example', '/health')?.pool, 'p2')
    assert.deepEqual(routes.match('other.example', '/healthy')?.pool, 'p3')
    assert.deepEqual(routes.match(null, '/')?.pool, 'p3')
    assert.equal(routes.match(null, '/')?.index, 3)
  })

  test('a wildcard is every name below, at any depth, and not the name itself', () => {
    const routes = table({ host: '*.video.example' })
    for (const host of ['a.video.example', 'a.b.video.example']) assert.ok(routes.match(host, '/'), host)
    for (const host of [
      'video.example',
      '.video.example',
      'xvideo.example',
      'a.video.example.org',
      'example',
      '',
    ]) {
      assert.equal(routes.match(host, '/'), undefined, host)
    }
    assert.equal(routes.match(null, '/'), undefined)
  })

  test('a prefix is taken by whole segments', () => {
    const bare = table({ path: { prefix: '/v' } })
    for (const path of ['/v', '/v/', '/v/a']) assert.ok(bare.match(null, path), path)
    for (const path of ['/', '/video', '/V', '/a/v', ''])
      assert.equal(bare.match(null, path), undefined, path)
    const closed = table({ path: { prefix: '/v/' } })
    assert.ok(closed.match(null, '/v/'))
    assert.equal(closed.match(null, '/v'), undefined)
    assert.ok(table({ path: { prefix: '/' } }).match(null, '/anything'))
  })

  test('paths are compared as they were sent', () => {
    const routes = table({ path: { prefix: '/v/' } })
    assert.equal(routes.match(null, '/%76/a'), undefined)
    assert.ok(routes.match(null, '/v/../admin'))
  })

  test('a host may be an IPv6 address in brackets, and hosts of objects are no hosts', () => {
    assert.ok(table({ host: '[fd00::1]' }).match('[fd00::1]', '/'))
    assert.equal(table({ host: 'a.example' }).match('constructor', '/'), undefined)
    assert.equal(table({ host: 'a.example' }).match('__proto__', '/'), undefined)
  })

  test('agrees with a matcher that tries one route after the other', () => {
    let seed = 20261123
    const random = (below: number) => {
      seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0
      return Math.floor((seed / 2 ** 32) * below)
    }
    const pick = <T>(list: readonly T[]): T => list[random(list.length)] as T
    const labels = ['a', 'b', 'www', 'example']
    const name = () => Array.from({ length: 1 + random(4) }, () => pick(labels)).join('.')
    const path = () => `/${Array.from({ length: random(4) }, () => pick(['v', 'vi', 'a', ''])).join('/')}`
    let hits = 0
    for (let round = 0; round < 300; round++) {
      const routes = Array.from({ length: 1 + random(12) }, (_, index) => {
        const host = pick([undefined, name(), `*.${name()}`])
        const at = pick([undefined, { exact: path() }, { prefix: path() }])
        return { match: { ...(host && { host }), ...(at && { path: at }) }, pool: `p${index}` }
      })
      const compiled = compileRoutes({ version: 1, routes })
      for (let request = 0; request < 50; request++) {
        const [host, wanted] = [pick([null, name()]), path()]
        const naive = routes.findIndex(
          ({ match }) => naiveHost(match.host, host) && naivePath(match.path, wanted),
        )
        const found = compiled.match(host, wanted)
        assert.equal(found?.index ?? -1, naive, JSON.stringify({ routes, host, wanted }))
        if (naive >= 0) hits++
      }
    }
    assert.ok(hits > 1000 && hits < 14_000, `${hits} hits: the requests tell the routes apart`)
  })

  function naiveHost(pattern: string | undefined, host: string | null): boolean {
    if (pattern === undefined) return true
    if (host === null) return false
    if (!pattern.startsWith('*.')) return host === pattern
    return host
      .split('.')
      .some((_, index, parts) => index > 0 && parts.slice(index).join('.') === pattern.slice(2))
  }

  function naivePath(pattern: Match['path'], path: string): boolean {
    if (pattern === undefined) return true
    if ('exact' in pattern) return path === pattern.exact
    const base = pattern.prefix.endsWith('/') ? pattern.prefix : `${pattern.prefix}/`
    return path === pattern.prefix || path.startsWith(base)
  }
})

describe('a routes document', () => {
  const document: RoutesDocument = {
    version: 3,
    routes: [
      { match: { host: '*.a.example', path: { prefix: '/v' } }, pool: 'media' },
      { match: { path: { exact: '/x' } }, pool: 'x' },
      { match: {}, pool: 'web' },
    ],
  }

  test('travels as JSON', () => {
    assert.deepEqual(parseRoutes(JSON.stringify(document)), document)
  })

  test('is refused with the place when it does not follow its form', () => {
    const one = (route: unknown) => JSON.stringify({ version: 1, routes: [{ match: {}, pool: 'a' }, route] })
    const cases: [string, RegExp][] = [
      ['', /not JSON/],
      ['[]', /no version/],
      ['{"version":1}', /no version or no routes/],
      ['{"version":1.5,"routes":[]}', /no version/],
      [one(null), /routes\[1\] has no pool/],
      [one({ match: {}, pool: 1 }), /routes\[1\] has no pool/],
      [one({ pool: 'a' }), /routes\[1\] has no pool or match/],
      [one({ match: { host: 1 }, pool: 'a' }), /routes\[1\]\.match\.host/],
      [one({ match: { host: '*' }, pool: 'a' }), /routes\[1\]\.match\.host/],
      [one({ match: { host: 'a.*.b' }, pool: 'a' }), /routes\[1\]\.match\.host/],
      [one({ match: { path: '/' }, pool: 'a' }), /routes\[1\]\.match\.path/],
      [one({ match: { path: { exact: '/', prefix: '/' } }, pool: 'a' }), /routes\[1\]\.match\.path/],
      [one({ match: { path: { exact: 'x' } }, pool: 'a' }), /routes\[1\]\.match\.path/],
      [one({ match: { path: { prefix: '/a?b' } }, pool: 'a' }), /routes\[1\]\.match\.path/],
      [`{"version":1,"routes":[],"x":"${'x'.repeat(1 << 20)}"}`, /longer than/],
    ]
    for (const [json, message] of cases) {
      assert.throws(() => parseRoutes(json), { code: 'BATON_ROUTES_INVALID', message }, json.slice(0, 80))
    }
  })
})

describe('routes of tls listeners', () => {
  const tls = (...matches: Match[]) =>
    compileTlsRoutes({ version: 1, routes: matches.map((match, index) => ({ match, pool: `p${index}` })) })

  test('are those with sni or alpn, and no others', () => {
    const matches: Match[] = [{}, { host: 'a.example' }, { sni: 'a.example' }, { path: { prefix: '/' } }]
    assert.equal(tls(...matches).match('a.example', [])?.pool, 'p2')
    assert.equal(tls(...matches).match('b.example', []), undefined)
    assert.equal(tls(...matches).match(null, []), undefined)
    assert.equal(table({ sni: '*' }, { alpn: 'h2' }).match('a.example', '/'), undefined)
  })

  test('match by name, by wildcard, and by what is offered; the first decides', () => {
    const routes = tls(
      { sni: 'a.example', alpn: 'h2' },
      { sni: '*.b.example' },
      { alpn: 'acme-tls/1' },
      { sni: 'A.example' },
    )
    assert.equal(routes.match('a.example', ['http/1.1', 'h2'])?.index, 0)
    assert.equal(routes.match('a.example', ['http/1.1'])?.index, 3)
    assert.equal(routes.match('x.y.b.example', [])?.index, 1)
    assert.equal(routes.match('b.example', []), undefined)
    assert.equal(routes.match(null, ['acme-tls/1'])?.index, 2)
    assert.equal(routes.match(null, ['h2']), undefined)
  })

  test('a star is every name, and none', () => {
    const routes = tls({ sni: 'a.example' }, { sni: '*' })
    assert.equal(routes.match('a.example', [])?.index, 0)
    assert.equal(routes.match('z', [])?.index, 1)
    assert.equal(routes.match(null, [])?.index, 1)
  })

  test('travel to the agents, and what is wrong with them is refused there', () => {
    const json = (match: object) => JSON.stringify({ version: 1, routes: [{ match, pool: 'p' }] })
    const match = { sni: '*.a.example', alpn: 'h2' }
    assert.deepEqual(parseRoutes(json(match)).routes[0]?.match, match)
    for (const wrong of [{ sni: 1 }, { sni: 'a b' }, { alpn: '' }, { alpn: 7 }, { sni: '[::1]' }]) {
      assert.throws(() => parseRoutes(json(wrong)), { code: 'BATON_ROUTES_INVALID' })
    }
  })
})

describe('routes of tcp listeners', () => {
  const matches: Match[] = [{}, { sni: '*' }, { listeners: ['db', 'db6'] }, { listeners: ['db6', 'cache'] }]
  const document = { version: 1, routes: matches.map((match, index) => ({ match, pool: `p${index}` })) }

  test('go by the name of the listener; the first decides', () => {
    const routes = compileTcpRoutes(document)
    assert.equal(routes.match('db')?.pool, 'p2')
    assert.equal(routes.match('db6')?.index, 2)
    assert.equal(routes.match('cache')?.index, 3)
    assert.equal(routes.match('web'), undefined)
  })

  test('are for nobody else', () => {
    assert.equal(compileRoutes(document).match(null, '/')?.index, 0)
    assert.equal(compileTlsRoutes(document).match(null, [])?.index, 1)
    const alone = { version: 1, routes: [{ match: { listeners: ['db'] }, pool: 'p' }] }
    assert.equal(compileRoutes(alone).match(null, '/'), undefined)
    assert.equal(compileTlsRoutes(alone).match(null, []), undefined)
  })

  test('travel to the agents, and what is wrong with them is refused there', () => {
    const json = (listeners: unknown) =>
      JSON.stringify({ version: 1, routes: [{ match: { listeners }, pool: 'p' }] })
    assert.deepEqual(parseRoutes(json(['db'])).routes[0]?.match, { listeners: ['db'] })
    for (const wrong of ['db', [], [1], null, {}]) {
      assert.throws(() => parseRoutes(json(wrong)), { code: 'BATON_ROUTES_INVALID' })
    }
  })
})

describe('routes of custom listeners', () => {
  const keys = (...matches: Match[]) =>
    compileKeyRoutes({ version: 1, routes: matches.map((match, index) => ({ match, pool: `p${index}` })) })

  test('match by the key or its beginning; the first decides', () => {
    const routes = keys(
      { key: 'mail.in' },
      { key: 'mail*' },
      { key: 'mail.out' },
      { key: 'jobs' },
      { key: '*' },
    )
    assert.equal(routes.match('mail.in')?.index, 0)
    assert.equal(routes.match('mail.out')?.index, 1)
    assert.equal(routes.match('mail')?.index, 1)
    assert.equal(routes.match('jobs')?.index, 3)
    assert.equal(routes.match('jobs2')?.index, 4)
    assert.equal(keys({ key: 'mail.in' }, { key: 'jobs' }).match('mail'), undefined)
    assert.equal(keys({ key: 'a' }, { key: 'a' }).match('a')?.index, 0)
  })

  test('are those with key: other listeners do not see them, and they see no others', () => {
    const matches: Match[] = [{ key: '*' }, {}, { sni: '*' }]
    assert.equal(keys(...matches).match('anything')?.pool, 'p0')
    assert.equal(keys({}, { sni: '*' }).match('anything'), undefined)
    assert.equal(table(...matches).match('a.example', '/')?.pool, 'p1')
  })

  test('travel to the agents, and what is wrong with them is refused there', () => {
    const json = (match: object) => JSON.stringify({ version: 1, routes: [{ match, pool: 'p' }] })
    assert.deepEqual(parseRoutes(json({ key: 'mail*' })).routes[0]?.match, { key: 'mail*' })
    for (const wrong of [{ key: 1 }, { key: '' }, { key: 'a*b' }, { key: 'x'.repeat(257) }]) {
      assert.throws(() => parseRoutes(json(wrong)), { code: 'BATON_ROUTES_INVALID' })
    }
  })
})
