import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { agentProblems, agentYaml, change, frontendProblems, frontendYaml } from './support.js'

/** [what is changed, into what, where the one problem points: the text that stands there, " @ ", path and message] */
type Case = readonly [from: string, to: string, problem: string]

function check(text: string, problems: (text: string) => string[], cases: readonly Case[]): void {
  assert.deepEqual(problems(text), [])
  for (const [from, to, expected] of cases) {
    const changed = change(text, from, to)
    const [problem = '', ...more] = problems(changed)
    assert.deepEqual(more, [], changed)
    const [, line, column, message] = /^f:(\d+):(\d+) (.*)$/.exec(problem) ?? []
    const rest = changed.split('\n')[Number(line) - 1]?.slice(Number(column) - 1) ?? ''
    const [there = ''] = expected.split(' @ ')
    assert.equal(`${rest.slice(0, there.length)} @ ${message}`, expected)
  }
}

describe('mistakes are named with line, column and path', () => {
  test('in keys and types', () => {
    check(frontendYaml, frontendProblems, [
      [
        'protocol: http',
        'protocl: http',
        'protocl: @ listeners[0].protocl: unknown key; did you mean "protocol"?',
      ],
      [
        'steering: {',
        'stearing: { interface: eth1 }\nsteering: {',
        'stearing: @ stearing: unknown key; did you mean "steering"?',
      ],
      [
        'interface: eth0',
        'interface: eth0, zzz: 1',
        'zzz: @ steering.zzz: unknown key; expected one of interface, attach, pinPath, maxFlows, lingerMs, idleMs',
      ],
      [
        '{ interface: eth0 }',
        '{ interface: 5 }',
        '5 @ steering.interface: is 5, expected the name of a network interface, at most 15 bytes',
      ],
      ['{ interface: eth0 }', 'eth0', 'eth0 @ steering: is the text "eth0", expected a map of keys'],
      ['{ interface: eth0 }', '', 'steering: @ steering: is empty, expected a map of keys'],
      [
        '{ interface: eth0 }',
        '{ attach: tcx }',
        '{ @ steering: lacks "interface": The network interface at which packets for the VIP arrive',
      ],
      [
        '{ interface: eth0 }',
        '{ interface: eth0, attach: txc }',
        'txc @ steering.attach: is the text "txc", expected auto or tcx or clsact; did you mean tcx?',
      ],
      [
        'pool: web }',
        'pool: [web] }',
        '[web] @ routes[1].pool: is a list, expected 1 to 64 letters, digits, dots, dashes or underscores, the first a letter or digit',
      ],
      [
        '  web:   {',
        '  _web: { handoff: never, backends: [{ id: x, address: "10.0.0.9:80" }] }\n  web:   {',
        '_web: @ pools._web: is no name; expected 1 to 64 letters, digits, dots, dashes or underscores, the first a letter or digit',
      ],
    ])
  })

  test('in numbers', () => {
    check(frontendYaml, frontendProblems, [
      [
        'steering',
        'limits: { headBytes: 1 }\nsteering',
        '1 @ limits.headBytes: is 1, expected a whole number between 256 and 262144',
      ],
      [
        'steering',
        'limits: { headBytes: 1.5k }\nsteering',
        '1.5k @ limits.headBytes: is the text "1.5k", expected a whole number between 256 and 262144',
      ],
      [
        'steering',
        'limits: { headBytes: 1000.5 }\nsteering',
        '1000.5 @ limits.headBytes: is 1000.5, expected a whole number between 256 and 262144',
      ],
      [
        'steering',
        'limits: { headBytes: .inf }\nsteering',
        '.inf @ limits.headBytes: is Infinity, expected a whole number between 256 and 262144',
      ],
    ])
  })

  test('in addresses', () => {
    const expected = 'expected an IP address and port such as 10.0.0.1:80 or "[fd00::1]:80"'
    const address = (text: string, problem: string): Case => [
      '"10.0.0.100:80"',
      `"${text}"`,
      `"${text}" @ listeners[0].address: "${text}": ${problem}; ${expected}`,
    ]
    check(frontendYaml, frontendProblems, [
      address('10.0.0.100', 'has no port'),
      address('10.0.0.300:80', '"10.0.0.300" is not an IPv4 address'),
      address('www.example:80', '"www.example" is not an IPv4 address'),
      address(':80', 'has no address; 0.0.0.0 stands for all'),
      address('fd00::1', 'an IPv6 address stands in brackets before its port'),
      address('[fe80::1%eth0]:80', 'has a zone, which cannot be carried to another host'),
      address('10.0.0.100:99999', 'port 99999 is above 65535'),
      address('[fd00::g]:80', '"fd00::g" is not an IPv6 address'),
      [
        '"10.0.0.11:7400"',
        '"10.0.0.11:0"',
        `"10.0.0.11:0" @ pools.media.backends[0].agent: "10.0.0.11:0": port 0 cannot be connected to; ${expected}`,
      ],
    ])
    check(agentYaml, agentProblems, [
      [
        '"fd00::100"',
        '"fd00::100/64"',
        '"fd00::100/64" @ vips[1]: "fd00::100/64": expected an IPv4 or IPv6 address without a port or zone',
      ],
      ['"fd00::100"', '"10.0.0.100"', '"10.0.0.100" @ vips[1]: 10.0.0.100 stands here twice'],
      ['"10.0.0.100"', '"fd00:0::100"', '"fd00::100" @ vips[1]: fd00::100 stands here twice'],
      ['"fd00::100"', '"::"', '"::" @ vips[1]: :: is no address that a client connects to'],
    ])
  })

  test('in routes of tls listeners', () => {
    const tls = change(
      change(frontendYaml, '"[fd00::100]:80" }', '"[fd00::100]:443", protocol: tls }'),
      '{ match: {}, pool: web }',
      '{ match: { sni: a.example }, pool: web }',
    )
    assert.deepEqual(frontendProblems(tls), [])
    const beside = 'a route with sni or alpn is for tls listeners, where nobody sees a request'
    check(tls, frontendProblems, [
      [
        '{ sni: a.example }',
        '{ sni: a.example, host: b.example }',
        `b.example @ routes[1].match.host: cannot stand beside sni: ${beside}`,
      ],
      [
        '{ sni: a.example }',
        '{ alpn: h2, path: { exact: /a } }',
        `{ exact: /a } @ routes[1].match.path: cannot stand beside alpn: ${beside}`,
      ],
      [
        '{ sni: a.example }',
        '{ host: a.example }',
        'tls @ listeners[1].protocol: "web6" needs a route with sni or alpn; sni: "*" is every TLS connection',
      ],
      [
        'protocol: tls',
        'protocol: http',
        '{ sni: a.example } @ routes[1].match: has sni, which is for tls listeners, and this file has none',
      ],
      [
        '{ sni: a.example }',
        '{ sni: "*example" }',
        '"*example" @ routes[1].match.sni: "*example": a * may only stand for the whole first part, as in *.video.example',
      ],
      [
        '{ sni: a.example }',
        '{ sni: "[fd00::1]" }',
        '"[fd00::1]" @ routes[1].match.sni: "[fd00::1]": is a name, never an address',
      ],
      [
        '{ sni: a.example }',
        '{ alpn: "h 2" }',
        '"h 2" @ routes[1].match.alpn: "h 2": is the name of a protocol such as h2 or http/1.1: 1 to 255 visible ASCII characters',
      ],
    ])
    const both = change(
      tls,
      '{ match: { sni: a.example }',
      '{ match: { path: { exact: /x } }, pool: web }\n  - { match: { sni: a.example }',
    )
    assert.match(
      frontendProblems(both).join('\n'),
      /warning: routes\[2\]\.pool: pool "web" gets HTTP requests and TLS/,
    )
    const only = change(frontendYaml, 'protocol: http', 'protocol: tls').replace(
      '"[fd00::100]:80" }',
      '"[fd00::100]:80", protocol: tls }',
    )
    assert.match(
      frontendProblems(only).join('\n'),
      /routes\[1\]\.match: has neither sni nor alpn, so it is for http listeners/,
    )
  })

  test('in routes of tcp listeners', () => {
    const tcp = change(
      change(frontendYaml, '"[fd00::100]:80" }', '"[fd00::100]:5432", protocol: tcp }'),
      'pool: web }\npools:\n',
      'pool: web }\n  - { match: { listeners: [web6] }, pool: db }\npools:\n  db: { backends: [ { id: db-1, agent: "10.0.0.31:7400" } ] }\n',
    )
    assert.deepEqual(frontendProblems(tcp), [])
    const beside =
      'cannot stand beside listeners: a route with listeners is for tcp listeners, where nobody reads what a client says'
    check(tcp, frontendProblems, [
      [
        '[web6]',
        '[web6, wbe6]',
        'wbe6 @ routes[2].match.listeners[1]: names no listener of this file; did you mean "web6"?',
      ],
      [
        '[web6]',
        '[other, web6]',
        'other @ routes[2].match.listeners[0]: names no listener of this file; the listeners are web, web6',
      ],
      [
        '[web6]',
        '[web6, web]',
        'web] @ routes[2].match.listeners[1]: "web" has protocol: http; only tcp listeners are routed by their name',
      ],
      ['[web6]', 'web6', 'web6 @ routes[2].match.listeners: is the text "web6", expected a list'],
      ['[web6]', '[web6], host: a.example', `a.example @ routes[2].match.host: ${beside}`],
      ['[web6]', '[web6], sni: "*"', `"*" @ routes[2].match.sni: ${beside}`],
    ])
    const all = (from: string, to: string) => frontendProblems(change(tcp, from, to)).join('\n')
    assert.match(
      all('listeners: [web6]', 'host: a.example'),
      /listeners\[1\]\.protocol: "web6" needs a route with listeners: \[web6\]/,
    )
    assert.match(all('[web6]', '[]'), /routes\[2\]\.match\.listeners: has none, expected at least 1/)
    assert.match(
      all('pool: db }', 'pool: web }'),
      /warning: .*"web" gets HTTP requests and TCP connections: its/,
    )
    assert.match(
      all('[web6] }', '[web6] }, pool: db }\n  - { match: { listeners: [web6] }'),
      /warning: routes\[3\]: is never reached: routes\[2\] matches/,
    )
  })

  test('routes with key are for listeners with a head reader, which no file can have', () => {
    const custom = change(
      change(frontendYaml, '"[fd00::100]:80" }', '"[fd00::100]:7000", protocol: custom }'),
      '{ match: {}, pool: web }',
      '{ match: { key: "mail*" }, pool: web }',
    )
    assert.deepEqual(frontendProblems(custom), [])
    assert.deepEqual(frontendProblems(custom, { inProgram: false }), [
      'f:3:58 listeners[1].protocol: custom is for createFrontend() inside a Node program; expected http, tls or tcp',
    ])
    check(custom, frontendProblems, [
      [
        '{ key: "mail*" }',
        '{ host: a.example }',
        'custom @ listeners[1].protocol: "web6" needs a route with key; key: "*" is every connection',
      ],
      [
        'protocol: custom',
        'protocol: http',
        '{ key: "mail*" } @ routes[1].match: has key, which is for listeners with a head reader of their own, and here is none',
      ],
      [
        '{ key: "mail*" }',
        '{ key: "mail*", path: { exact: /a } }',
        '{ exact: /a } @ routes[1].match.path: cannot stand beside key: a route with key is for listeners with a head reader of their own',
      ],
      [
        '{ key: "mail*" }',
        '{ key: "*mail" }',
        '"*mail" @ routes[1].match.key: "*mail": a * may only stand at the end, as in mail*',
      ],
      ['{ key: "mail*" }', '{ key: "" }', '"" @ routes[1].match.key: "": is a text of 1 to 256 characters'],
    ])
    const covered = change(
      custom,
      '{ match: { key: "mail*" }, pool: web }',
      '{ match: { key: "mail*" }, pool: web }\n  - { match: { key: mailbox }, pool: web }',
    )
    assert.match(frontendProblems(covered).join('\n'), /routes\[2\]: is never reached: routes\[1\]/)
  })

  test('in proxyProtocol', () => {
    const listens = 'protocol: http'
    const from = (text: string) => `protocol: http, proxyProtocol: { from: [${text}] }`
    const expected = 'expected one such as 10.0.0.0/8, fd00::/64 or 10.0.0.1'
    const at = 'listeners[0].proxyProtocol.from[0]'
    assert.deepEqual(
      frontendProblems(change(frontendYaml, listens, from('"10.0.0.0/8", "fd00::/8", 10.0.0.7'))),
      [],
    )
    check(frontendYaml, frontendProblems, [
      [
        listens,
        `${listens}, proxyProtocol: {}`,
        '{} @ listeners[0].proxyProtocol: lacks "from": The balancers in front',
      ],
      [listens, from(''), '[] @ listeners[0].proxyProtocol.from: has none, expected at least 1'],
      [
        listens,
        from('10.0.0.0/33'),
        `10.0.0.0/33 @ ${at}: "10.0.0.0/33": has no prefix length of 0 to 32; ${expected}`,
      ],
      [
        listens,
        from('"fd00::/129"'),
        `"fd00::/129" @ ${at}: "fd00::/129": has no prefix length of 0 to 128; ${expected}`,
      ],
      [
        listens,
        from('10.0.0.0/'),
        `10.0.0.0/ @ ${at}: "10.0.0.0/": has no prefix length of 0 to 32; ${expected}`,
      ],
      [
        listens,
        from('balancer'),
        `balancer @ ${at}: "balancer": is neither an address nor a network; ${expected}`,
      ],
      [
        listens,
        from('10.0.0.0/8/8'),
        `10.0.0.0/8/8 @ ${at}: "10.0.0.0/8/8": is neither an address nor a network; ${expected}`,
      ],
      [
        listens,
        from('10.0.0.1/8'),
        `10.0.0.1/8 @ ${at}: "10.0.0.1/8": has bits beyond its prefix of 8; ${expected}`,
      ],
      [
        listens,
        from('10.0.0.129/25'),
        `10.0.0.129/25 @ ${at}: "10.0.0.129/25": has bits beyond its prefix of 25; ${expected}`,
      ],
      [
        listens,
        from('"fd00::1/64"'),
        `"fd00::1/64" @ ${at}: "fd00::1/64": has bits beyond its prefix of 64; ${expected}`,
      ],
      [
        listens,
        from('"fd00:0:0:c::/61"'),
        `"fd00:0:0:c::/61" @ ${at}: "fd00:0:0:c::/61": has bits beyond its prefix of 61; ${expected}`,
      ],
      [
        'web:   { handoff: never',
        'web:   { proxyProtocol: v2, handoff: never',
        'v2 @ pools.web.proxyProtocol: is for pools of tls and tcp connections: requests of many clients share a connection, and have X-Forwarded-For',
      ],
    ])
    assert.match(
      frontendProblems(change(frontendYaml, listens, from('"::/0"'))).join('\n'),
      /warning: listeners\[0\]\.proxyProtocol\.from\[0\]: is everybody/,
    )
    check(agentYaml, agentProblems, [
      [
        'kind: http, address: "127.0.0.1:8080"',
        'kind: tcp, address: "127.0.0.1:8080", proxyProtocol: v3',
        'v3 @ deliver.proxyProtocol: is the text "v3", expected off or v1 or v2; did you mean v1?',
      ],
    ])
  })

  test('what this version cannot do is said in a sentence', () => {
    check(frontendYaml, frontendProblems, [
      [
        'protocol: http',
        'protocol: https',
        'https @ listeners[0].protocol: TLS is not terminated here; say tls, and let the backend terminate it',
      ],
    ])
    check(agentYaml, (text) => agentProblems(text, { inProgram: false }), [
      [
        'kind: http, address: "127.0.0.1:8080"',
        'kind: adopt, address: "127.0.0.1:8080"',
        '{ @ deliver: lacks "session": Always connection: it stays the application’s to its end',
      ],
      [
        'kind: http, address: "127.0.0.1:8080"',
        'kind: inline',
        'inline @ deliver.kind: inline is for createAgent() inside a Node program; expected http, tcp or adopt',
      ],
      [
        'kind: http',
        'kind: htp',
        'htp @ deliver.kind: is the text "htp", expected http or tcp or adopt or inline; did you mean http?',
      ],
      ['kind: http, ', '', '{ @ deliver: lacks "kind": http or tcp or adopt or inline'],
    ])
    assert.deepEqual(
      agentProblems(change(agentYaml, 'kind: http, address: "127.0.0.1:8080"', 'kind: inline')),
      [],
    )
  })

  test('in what must be one of two', () => {
    check(frontendYaml, frontendProblems, [
      ['{ prefix: /v/ }', '{}', '{ @ routes[0].match.path: takes exactly one of exact, prefix; has none'],
      [
        '{ prefix: /v/ }',
        '{ prefix: /v/, exact: /v }',
        '{ @ routes[0].match.path: takes exactly one of exact, prefix; has more',
      ],
      ['{ tokenFile: token }', '{}', '{ @ control: takes exactly one of tokenFile, tls; has none'],
      [
        'control:',
        'registry: { kind: redis, keyPrefix: "a:" }\ncontrol:',
        '{ @ registry: takes exactly one of url, urlFile; has none',
      ],
    ])
    const both = change(frontendYaml, '{ tokenFile: token }', '{ tokenFile: token, tls: {}, tokenfile: x }')
    assert.deepEqual(frontendProblems(both), [
      'f:11:10 control: takes exactly one of tokenFile, tls; has more',
      'f:11:39 control.tokenfile: unknown key; did you mean "tokenFile"?',
    ])
  })

  test('in routes', () => {
    const host = (text: string, problem: string): Case => [
      '"*.video.example"',
      `"${text}"`,
      `"${text}" @ routes[0].match.host: "${text}": ${problem}`,
    ]
    const path = (text: string, problem: string): Case => [
      '{ prefix: /v/ }',
      `{ prefix: "${text}" }`,
      `"${text}" @ routes[0].match.path.prefix: "${text}": a path ${problem}`,
    ]
    check(frontendYaml, frontendProblems, [
      host('*', 'leave host out to match every host'),
      host('a.*.example', 'a * may only stand for the whole first part, as in *.video.example'),
      host('www.example:80', 'is matched without a port'),
      host('www.example.', 'is matched without the trailing dot'),
      host('münchen.example', 'is not a host name (international names in their xn-- form)'),
      path('v/', 'begins with /'),
      path('/v?a=1', 'is matched without the query'),
      path('/a b', 'has a character that no request path holds; percent-encode it'),
      [
        'pool: media }',
        'pool: meda }',
        'meda @ routes[0].pool: names no pool of this file; did you mean "media"?',
      ],
      [
        'pool: media }',
        'pool: video }',
        'video @ routes[0].pool: names no pool of this file; the pools are media, web',
      ],
      [
        '  - { match: {}, pool: web }',
        '  - { match: {}, pool: web }\n  - { match: { host: a.example }, pool: media }',
        '{ @ warning: routes[2]: is never reached: routes[1] matches all of its requests first',
      ],
      [
        '  - { match: {}, pool: web }',
        '  - { match: { host: "*.a.video.example", path: { exact: /v/x } }, pool: web }',
        '{ @ warning: routes[1]: is never reached: routes[0] matches all of its requests first',
      ],
    ])
    // Covered in part only.
    for (const match of [
      '{ host: video.example }',
      '{ host: "*.video.example", path: { prefix: /v } }',
      '{ path: { prefix: /v/ } }',
    ]) {
      assert.deepEqual(frontendProblems(change(frontendYaml, 'match: {}', `match: ${match}`)), [])
    }
  })

  test('in parts that do not fit together', () => {
    const backends = '[ { id: media-1, agent: "10.0.0.11:7400", address: "10.0.0.11:8080" } ]'
    check(frontendYaml, frontendProblems, [
      ['name: web6', 'name: web', 'web @ listeners[1].name: another listener is called "web" too'],
      [
        '"[fd00::100]:80"',
        '"10.0.0.100:80"',
        '"10.0.0.100:80" @ listeners[1].address: another listener has 10.0.0.100:80 too',
      ],
      [
        backends,
        '[ { id: media-1 } ]',
        '{ @ pools.media.backends[0]: has neither agent nor address: nothing can reach it',
      ],
      [
        backends,
        '[ { id: media-1, address: "10.0.0.11:8080" } ]',
        'media: @ warning: pools.media: says handoff: auto (the default), but no backend has an agent: all is relayed; give agents, or say handoff: never',
      ],
      [
        backends,
        '[]',
        'media: @ warning: pools.media: has no backends, and with a memory registry none will join: its requests get 503',
      ],
      [
        'address: "10.0.0.21:8080"',
        'agent: "10.0.0.21:7400"',
        '{ @ pools.web.backends[0]: has no address, and this pool only relays (handoff: never)',
      ],
      [
        'id: web-1',
        'id: media-1',
        'media-1 @ pools.web.backends[0].id: "media-1" stands in pool "media" with another agent, address or weight',
      ],
      [
        'id: web-1,',
        'id: web-1, agent: "10.0.0.11:7400",',
        '"10.0.0.11:7400" @ pools.web.backends[0].agent: 10.0.0.11:7400 is the agent of backend "media-1" already',
      ],
      [
        '{ id: web-1, address: "10.0.0.21:8080" }',
        '{ id: a, address: "10.0.0.21:8080" }, { id: a, address: "10.0.0.22:8080" }',
        'a @ pools.web.backends[1].id: another backend of this pool has the id "a" too',
      ],
      [
        '{ id: web-1, address: "10.0.0.21:8080" }',
        '{ id: a, address: "10.0.0.21:8080" }, { id: b, address: "10.0.0.21:8080" }',
        '"10.0.0.21:8080" @ pools.web.backends[1].address: another backend of this pool has the address 10.0.0.21:8080 too',
      ],
      [
        'steering: { interface: eth0 }\n',
        '',
        'listeners: @ lacks "steering": pool "media" hands connections over, so packets must be steered',
      ],
      [
        'control: { tokenFile: token }\n',
        '',
        'listeners: @ lacks "control": pool "media" hands connections over, so its agents must know this frontend',
      ],
    ])
    check(agentYaml, agentProblems, [
      [
        '"10.0.0.11:7400"',
        '"10.0.0.100:7400"',
        '"10.0.0.100:7400" @ control.address: 10.0.0.100 is a VIP: frontends would dial themselves',
      ],
      ['pools: [media]', 'pools: [media, media]', 'media] @ pools[1]: "media" stands here twice'],
      ['pools: [media]', 'pools: []', '[] @ pools: has none, expected at least 1'],
      [
        'pools: [media]',
        'address: "10.0.0.100:80"\npools: [media]',
        '"10.0.0.100:80" @ address: 10.0.0.100 is a VIP: frontends would relay to themselves',
      ],
    ])
    const everywhere = change(agentYaml, '"10.0.0.11:7400"', '"0.0.0.0:7400"')
    assert.deepEqual(agentProblems(everywhere), [])
    assert.deepEqual(agentProblems(`${everywhere}registry: { kind: redis, url: "redis://r" }\n`), [
      'f:3:21 control.address: 0.0.0.0 cannot be announced in Redis: expected the address that frontends dial',
    ])
  })

  test('all at once, in the order of the file', () => {
    let text = change(frontendYaml, 'name: web,', 'name: "a b",')
    text = change(text, 'pool: media }', 'pool: medja }')
    text = change(text, 'id: web-1', 'id: web-1, wieght: 2')
    text = `${text}limits: { headBytes: 7 }\n`
    assert.deepEqual(
      frontendProblems(text).map((line) => line.split(': ')[0]),
      [
        'f:2:13 listeners[0].name',
        'f:5:72 routes[0].pool',
        'f:9:53 pools.web.backends[0].wieght',
        'f:12:22 limits.headBytes',
      ],
    )
  })
})
