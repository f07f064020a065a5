import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import type { AddressInfo, Server } from 'node:net'
import { createServer } from 'node:net'
import { after, describe, test } from 'node:test'
import { compiled } from '../../bench/compile.js'
import type { Load } from '../../bench/downloads/load.js'
import type { Paced } from '../../bench/downloads/pace.js'
import { createOrigin } from '../../src/cli/demo/origin.js'

async function listening(server: Server): Promise<string> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return `127.0.0.1:${(server.address() as AddressInfo).port}:www.example`
}

/** A client, and all that it has printed by its end. */
function run(name: string, args: readonly (string | number)[]) {
  const child = spawn(compiled(`downloads/${name}.c`), args.map(String), {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text
  })
  const seen = async (pattern: RegExp): Promise<RegExpExecArray> => {
    for (;;) {
      const match = pattern.exec(output)
      if (match !== null) return match
      await once(child.stdout, 'data', { signal: AbortSignal.timeout(20_000) })
    }
  }
  const ended = once(child, 'close').then(() => output)
  return { child, seen, ended }
}

describe('the clients of the benchmarks', async () => {
  const origin = createOrigin('origin')
  const target = await listening(origin)
  /** Ends every answer after its first 64 KiB. */
  const broken = createServer((socket) => {
    socket.on('error', () => socket.destroy())
    socket.once('data', () => {
      socket.end(`HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n${'x'.repeat(65_536)}`)
    })
  })
  const brokenTarget = await listening(broken)
  after(() => {
    origin.closeAllConnections()
    origin.close()
    broken.close()
  })

  test('load counts whole answers and their bytes, a connection for each', async () => {
    const { answers, bytes, lost, seconds } = JSON.parse(
      await run('load', [50, 300, 4, 10_000, target]).ended,
    ) as Load
    assert.ok(answers > 0)
    assert.equal(lost, 0)
    assert.ok(bytes >= answers * 10_000, `${bytes} bytes in ${answers} answers`)
    assert.ok(seconds >= 0.3)
  })

  test('load gives up where every connection is lost', async () => {
    const output = await run('load', [0, 10_000, 2, 1_000_000, brokenTarget]).ended
    const { answers, lost } = JSON.parse(output) as Load
    assert.equal(answers, 0)
    assert.ok(lost >= 20)
  })

  test('pace tells how downloads ended', async () => {
    const paced = async (...args: (string | number)[]) => {
      const output = await run('pace', args).ended
      assert.match(output, /^begun$/m)
      return JSON.parse(output.slice(output.indexOf('{'))) as Paced
    }
    const good = await paced(3, 100_000, 50_000, 10, 20_000, target)
    assert.deepEqual([good.whole, good.stallsMs.length], [3, 3])
    assert.ok(good.bytes >= 300_000)
    const cut = await paced(2, 1_000_000, 50_000, 10, 20_000, brokenTarget)
    assert.equal(cut.early + cut.reset, 2)
    assert.deepEqual(cut.stallsMs, [])
    const slow = await paced(2, 50_000_000, 1000, 20, 500, target)
    assert.deepEqual([slow.flowing, slow.whole, slow.stuck], [2, 0, 0])
    const nobody = await paced(1, 1000, 1000, 10, 5000, '127.0.0.1:1:www.example')
    assert.equal(nobody.refused, 1)
  })

  test('hold keeps its connections, and finds those that are dead', async () => {
    const { child, seen, ended } = run('hold', [5, 1024, '127.0.0.1', target])
    await seen(/^held 5 lost 0$/m)
    child.kill('SIGUSR1')
    await seen(/^asked 1 answered 1$/m)
    origin.closeAllConnections()
    child.kill('SIGUSR1')
    await seen(/^asked [01] answered 0$/m)
    child.kill('SIGTERM')
    await ended
  })
})
