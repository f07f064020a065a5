import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type HeadResult, type RequestHead, readRequestHead } from '../../src/gate/index.js'
import { badHeads, browserHead, goodHeads } from './heads.js'

const limit = 16 * 1024

function read(text: string, max = limit): HeadResult<RequestHead> {
  const bytes = Buffer.from(text, 'latin1')
  return readRequestHead(bytes, bytes.length, max)
}

function head(text: string): RequestHead {
  const result = read(text)
  assert.equal(result.kind, 'head', JSON.stringify(result))
  return (result as { head: RequestHead }).head
}

const withHost = (fields: string) => head(`GET / HTTP/1.1\r\nHost: a\r\n${fields}\r\n\r\n`)

describe('request head', () => {
  it('says all that routing and framing need', () => {
    assert.deepEqual(head(`${browserHead}more`), {
      method: 'GET',
      target: '/v/film/8472?quality=1080p&lang=en',
      path: '/v/film/8472',
      host: 'www.video.example',
      httpVersion: '1.1',
      headBytes: browserHead.length,
      contentLength: null,
      chunked: false,
      expectContinue: false,
      keepAlive: true,
      upgrade: null,
    })
    assert.deepEqual(head('\r\nPOST /f HTTP/1.0\r\nContent-Length: 007\r\n\r\nbody...'), {
      method: 'POST',
      target: '/f',
      path: '/f',
      host: null,
      httpVersion: '1.0',
      headBytes: 43,
      contentLength: 7,
      chunked: false,
      expectContinue: false,
      keepAlive: false,
      upgrade: null,
    })
  })

  for (const text of goodHeads) {
    it(`takes ${JSON.stringify(text.slice(0, 60))}`, () => {
      assert.equal(head(text).headBytes, text.length)
    })
  }

  for (const [status, why, text] of badHeads) {
    it(`answers ${status} to ${why}`, () => {
      const result = read(text)
      assert.equal(result.kind, 'bad', JSON.stringify(result))
      if (result.kind === 'bad') assert.equal(result.status, status, `${result.code} ${result.detail}`)
    })
  }

  it('comes to the same end wherever the bytes are cut', () => {
    for (const text of [...goodHeads, ...badHeads.map(([, , bad]) => bad)]) {
      const bytes = Buffer.from(text, 'latin1')
      const whole = readRequestHead(bytes, bytes.length, limit)
      for (let cut = 1; cut < bytes.length; cut++) {
        const first = readRequestHead(bytes.subarray(0, cut), cut, limit)
        if (whole.kind === 'head') assert.equal(first.kind, 'incomplete', `${cut} of ${JSON.stringify(text)}`)
        const end = first.kind === 'incomplete' ? readRequestHead(bytes, bytes.length, limit, cut) : first
        if (end.kind === 'bad') assert.equal(whole.kind === 'bad' && whole.code, end.code)
        else assert.deepEqual(end, whole)
      }
    }
  })

  it('comes to the same end byte by byte', () => {
    for (const text of [...goodHeads, ...badHeads.map(([, , bad]) => bad)]) {
      const bytes = Buffer.from(text, 'latin1')
      let result: HeadResult<RequestHead> = { kind: 'incomplete' }
      for (let seen = 0; result.kind === 'incomplete' && seen < bytes.length; seen++) {
        result = readRequestHead(bytes.subarray(0, seen + 1), seen + 1, limit, seen)
      }
      const whole = read(text)
      if (whole.kind === 'bad' && result.kind === 'bad') assert.equal(result.code, whole.code)
      // What is wrong inside a line is told when the line ends, or at first sight.
      else if (result.kind !== 'incomplete') assert.deepEqual(result, whole)
      else assert.equal(whole.kind, 'bad', JSON.stringify(text))
    }
  })

  it('looks at nothing beyond the length that it is told', () => {
    const bytes = Buffer.from(browserHead)
    assert.equal(readRequestHead(bytes, bytes.length - 1, limit).kind, 'incomplete')
    assert.equal(readRequestHead(bytes, bytes.length - 1, limit, 10).kind, 'incomplete')
  })
})

describe('limits', () => {
  it('takes a head of exactly the limit and refuses one byte more with 431', () => {
    const filled = (size: number) => {
      const start = 'GET / HTTP/1.1\r\nHost: a\r\nX: '
      return `${start}${'y'.repeat(size - start.length - 4)}\r\n\r\n`
    }
    assert.equal(read(filled(1024), 1024).kind, 'head')
    assert.equal(read(`${filled(1024)}body`, 1024).kind, 'head')
    for (const text of [filled(1025), filled(1124), filled(1124).slice(0, 1024)]) {
      const result = read(text, 1024)
      assert.equal(result.kind === 'bad' && result.status, 431)
    }
    assert.equal(read(filled(1124).slice(0, 1023), 1024).kind, 'incomplete')
  })

  it('answers 414 when the request line alone is too long', () => {
    const result = read(`GET /${'a'.repeat(2000)}`, 1024)
    assert.equal(result.kind === 'bad' && result.status, 414)
    const seenBefore = Buffer.from(`GET /${'a'.repeat(2000)}`)
    const later = readRequestHead(seenBefore, seenBefore.length, 1024, 1000)
    assert.equal(later.kind === 'bad' && later.status, 414)
  })

  it('takes 128 field lines', () => {
    const fields = Array.from({ length: 127 }, (_, index) => `X-${index}: y`).join('\r\n')
    assert.equal(withHost(fields).host, 'a')
  })
})

describe('host', () => {
  const host = (value: string) => head(`GET / HTTP/1.1\r\nHost: ${value}\r\n\r\n`).host

  it('is in lower case, without port and without the last dot', () => {
    assert.equal(host('WWW.Example.COM:8080'), 'www.example.com')
    assert.equal(host('www.example.com.'), 'www.example.com')
    assert.equal(host('www.example.com.:80'), 'www.example.com')
    assert.equal(host('a:'), 'a')
    assert.equal(host('a:65535'), 'a')
    assert.equal(host('xn--bcher-kva.example'), 'xn--bcher-kva.example')
    assert.equal(host('my_service'), 'my_service')
    assert.equal(host('10.0.0.1:80'), '10.0.0.1')
    assert.equal(host(`${'a'.repeat(255)}:65535`), 'a'.repeat(255))
  })

  it('writes an IPv6 address in one way', () => {
    assert.equal(host('[2001:DB8:0:0:0:0:0:1]:80'), '[2001:db8::1]')
    assert.equal(host('[::1]'), '[::1]')
    assert.equal(host('[::FFFF:10.0.0.1]'), '[::ffff:10.0.0.1]')
  })

  it('is null when it is empty, or absent in HTTP/1.0', () => {
    assert.equal(host(''), null)
    assert.equal(head('GET / HTTP/1.0\r\n\r\n').host, null)
  })

  it('is the one of an absolute target', () => {
    const one = head('GET HTTP://A.Example:80/x/../y?z HTTP/1.1\r\nHost: a.example\r\n\r\n')
    assert.equal(one.host, 'a.example')
    assert.equal(one.path, '/y')
    assert.equal(head('GET http://a HTTP/1.0\r\n\r\n').host, 'a')
    assert.equal(head('GET http://a?q HTTP/1.1\r\nHost: a:80\r\n\r\n').path, '/')
    assert.equal(head('GET https://a:443/ HTTP/1.1\r\nHost: a\r\n\r\n').host, 'a')
  })
})

describe('path', () => {
  const path = (target: string) => head(`GET ${target} HTTP/1.1\r\nHost: a\r\n\r\n`).path

  it('has no query', () => {
    assert.equal(path('/a?b=/../c'), '/a')
    assert.equal(path('/?'), '/')
  })

  it('has one spelling for what is one path', () => {
    const spellings: Record<string, string> = {
      '/': '/',
      '//': '/',
      '/.': '/',
      '/..': '/',
      '/../../v/x': '/v/x',
      '/a/./b': '/a/b',
      '/a/b/..': '/a/',
      '/a/b/.': '/a/b/',
      '/a/../v/': '/v/',
      '/%2e%2E/v/x': '/v/x',
      '/x/%2e./v': '/v',
      '/%76/x': '/v/x',
      '/a//v///x/': '/a/v/x/',
      '//v/x': '/v/x',
      '/a%2fb%3a': '/a%2Fb%3A',
      '/100%': '/100%',
      '/%zz': '/%zz',
      '/%252e%252e/x': '/%252e%252e/x',
      '/.hidden/..a/a..': '/.hidden/..a/a..',
      '/...': '/...',
      '/a;b=..': '/a;b=..',
    }
    for (const [target, expected] of Object.entries(spellings)) assert.equal(path(target), expected, target)
  })

  it('leaves the target as it came', () => {
    assert.equal(head('GET //a/./%7e?x HTTP/1.1\r\nHost: a\r\n\r\n').target, '//a/./%7e?x')
    assert.equal(head('OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n').path, '*')
  })
})

describe('fields', () => {
  it('knows whether the connection goes on', () => {
    assert.equal(withHost('X: y').keepAlive, true)
    assert.equal(withHost('Connection: close').keepAlive, false)
    assert.equal(withHost('Connection: x, CLOSE').keepAlive, false)
    assert.equal(withHost('Connection: keep-alive\r\nConnection: close').keepAlive, false)
    assert.equal(withHost('Connection: closed').keepAlive, true)
    const old = (fields: string) => head(`GET / HTTP/1.0\r\n${fields}\r\n\r\n`)
    assert.equal(old('Connection: Keep-Alive').keepAlive, true)
    assert.equal(old('Connection: close').keepAlive, false)
  })

  it('knows an upgrade only where Connection names it', () => {
    assert.equal(withHost('Connection: keep-alive, Upgrade\r\nUpgrade: WebSocket').upgrade, 'websocket')
    assert.equal(withHost('Upgrade: websocket').upgrade, null)
    assert.equal(withHost('Connection: upgrade').upgrade, null)
    assert.equal(head('GET / HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n').upgrade, 'x')
  })

  it('knows who waits for 100 Continue', () => {
    assert.equal(withHost('Expect: 100-Continue').expectContinue, true)
    assert.equal(withHost('Expect: something').expectContinue, false)
    assert.equal(head('GET / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n').expectContinue, false)
  })

  it('knows the length of the body', () => {
    assert.equal(withHost('Content-Length: 0').contentLength, 0)
    assert.equal(withHost('content-length:9007199254740991').contentLength, Number.MAX_SAFE_INTEGER)
    assert.equal(withHost('Transfer-Encoding:  Chunked ').chunked, true)
    assert.equal(withHost('X: y').contentLength, null)
  })
})
