import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { readRedisUrl } from '../../src/config/index.js'

describe('Redis URLs', () => {
  test('of every form', () => {
    const none = { username: undefined, password: undefined, db: 0, master: undefined }
    const cases: Record<string, object> = {
      'redis://10.0.0.5': { mode: 'single', tls: false, nodes: [{ host: '10.0.0.5', port: 6379 }], ...none },
      'rediss://user:p%3Ass@r.example:7000/3': {
        ...{ mode: 'single', tls: true, nodes: [{ host: 'r.example', port: 7000 }] },
        ...{ username: 'user', password: 'p:ss', db: 3, master: undefined },
      },
      'redis://[fd00::5]:6380/': {
        mode: 'single',
        tls: false,
        nodes: [{ host: 'fd00::5', port: 6380 }],
        ...none,
      },
      'redis+sentinel://a,b:1/front/2': {
        ...{ mode: 'sentinel', tls: false, ...none, master: 'front', db: 2 },
        nodes: [
          { host: 'a', port: 26379 },
          { host: 'b', port: 1 },
        ],
      },
      'rediss+cluster://a,[fd00::1]:1': {
        ...{ mode: 'cluster', tls: true, ...none },
        nodes: [
          { host: 'a', port: 6379 },
          { host: 'fd00::1', port: 1 },
        ],
      },
    }
    for (const [url, target] of Object.entries(cases)) assert.deepEqual(readRedisUrl(url), target, url)
  })

  test('that are none say why', () => {
    const cases: Record<string, RegExp> = {
      '': /is not redis/,
      '10.0.0.5:6379': /is not redis/,
      'http://a': /scheme "http"/,
      'constructor://a': /scheme "constructor"/,
      'redis://a:0': /no port between/,
      'redis://a:70000': /no port between/,
      'redis://a,b': /several hosts/,
      'redis://a b': /is not host/,
      'redis://a/x': /database number/,
      'redis://a/1/2': /database number/,
      'redis+sentinel://a': /master name/,
      'redis+cluster://a/1': /database 0 only/,
      'redis://%zz@a': /percent-encoded/,
    }
    for (const [url, why] of Object.entries(cases)) assert.match(String(readRedisUrl(url)), why, url)
  })
})
