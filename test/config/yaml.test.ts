import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { change, frontendProblems, frontendYaml } from './support.js'

describe('YAML that is wrong or hostile', () => {
  test('a key that stands there twice', () => {
    const twice = `${frontendYaml}steering: { interface: eth1 }\n`
    assert.deepEqual(frontendProblems(twice), ['f:12:1 the key stands here a second time'])
  })

  test('syntax, several documents, tags, no document', () => {
    assert.match(frontendProblems('a: [1, 2\nb: }')[0] ?? '', /^f:\d+:\d+ /)
    assert.deepEqual(frontendProblems('a: 1\n---\nb: 2\n'), [
      'f:2:1 holds more than one document; expected one',
    ])
    assert.match(
      frontendProblems(`${frontendYaml}id: !!js/function "x"\n`)[0] ?? '',
      /^f:12:5 Unresolved tag/,
    )
    assert.deepEqual(frontendProblems(''), ['f:1:1 is empty, expected a map of keys'])
    assert.deepEqual(frontendProblems('- 1\n'), ['f:1:1 is a list, expected a map of keys'])
    assert.match(frontendProblems('? [a]\n: 1\n')[0] ?? '', /^f:1:3 /)
  })

  test('aliases may be used, but not multiplied or put into themselves', () => {
    const shared = change(
      frontendYaml,
      'web:   { handoff: never, backends: [',
      'web:   { handoff: never, backends: [ &b',
    )
    assert.deepEqual(
      frontendProblems(
        change(shared, '} ] }\nsteering', '} ] }\n  more: { handoff: never, backends: [ *b ] }\nsteering'),
      ),
      [],
    )
    const laughs = ['a0: &a0 [x,x,x,x,x,x,x,x,x,x]']
    for (let level = 1; level < 10; level++)
      laughs.push(`a${level}: &a${level} [${Array(10).fill(`*a${level - 1}`)}]`)
    assert.deepEqual(frontendProblems(laughs.join('\n')), [
      'f:1:1 stands for more than 100000 values; are aliases multiplying?',
    ])
    assert.deepEqual(frontendProblems('a: &a [*a]\n'), [
      'f:1:1 is nested deeper than 64 levels, or an alias contains itself',
    ])
  })

  test('a mistake behind an alias is named where it is used or defined', () => {
    const text = change(
      frontendYaml,
      '{ id: web-1, address: "10.0.0.21:8080" }',
      '&b { id: web-1, adress: "10.0.0.21:8080" }',
    )
    const aliased = change(
      text,
      '} ] }\nsteering',
      '} ] }\n  more: { handoff: never, backends: [ *b ] }\nsteering',
    )
    const column = (aliased.split('\n')[8] ?? '').indexOf('adress') + 1
    assert.deepEqual(
      frontendProblems(aliased).map((line) => line.split(';')[0]),
      [
        'f:9:43 pools.web.backends[0]: has neither agent nor address: nothing can reach it',
        `f:9:${column} pools.web.backends[0].adress: unknown key`,
        `f:9:${column} pools.more.backends[0].adress: unknown key`,
        'f:10:39 pools.more.backends[0]: has neither agent nor address: nothing can reach it',
      ],
    )
  })

  test('merge keys are no keys of ours', () => {
    const merged = `${frontendYaml}<<: { id: x }\n`
    assert.match(frontendProblems(merged)[0] ?? '', /^f:12:1 <<: unknown key/)
  })

  test('files that are too large or too deep do not get to the parser', () => {
    assert.deepEqual(frontendProblems(`# ${'x'.repeat(1 << 20)}`), ['f:1:1 is larger than 1048576 bytes'])
    const deep = 'is nested deeper than 64 levels'
    assert.deepEqual(frontendProblems(`a: ${'['.repeat(100_000)}`), [`f:1:1 ${deep}`])
    assert.deepEqual(frontendProblems(`${'- '.repeat(100_000)}x`), [`f:1:1 ${deep}`])
    assert.deepEqual(
      frontendProblems(Array.from({ length: 900 }, (_, level) => `${' '.repeat(level)}a:`).join('\n')),
      [`f:514:1 ${deep}`],
    )
    const flat = `a:\n${'  - [1, 2]\n'.repeat(200)}`
    assert.ok(!frontendProblems(flat).join().includes('deeper'))
  })

  test('names of the language are no pools and no keys', () => {
    for (const key of ['__proto__', 'constructor', 'toString']) {
      assert.match(
        frontendProblems(`${frontendYaml}${key}: { a: 1 }\n`)[0] ?? '',
        new RegExp(`^f:12:1 ${key}: unknown key`),
      )
    }
    const route = change(frontendYaml, 'pool: web }', 'pool: constructor }')
    assert.match(frontendProblems(route)[0] ?? '', /^f:6:24 routes\[1\]\.pool: names no pool/)
    const pool = change(frontendYaml, '  web: ', '  __proto__: { handoff: never }\n  web: ')
    assert.match(frontendProblems(pool)[0] ?? '', /^f:9:3 pools\.__proto__: is no name/)
    assert.equal(Object.hasOwn(Object.prototype, 'handoff'), false)
  })
})
