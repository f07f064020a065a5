import assert from 'node:assert/strict'
import { closeSync, openSync } from 'node:fs'
import { describe, it } from 'node:test'
import { Worker } from 'node:worker_threads'
import { gateCalls } from '../../src/kernel/gate.js'
import { packageRoot } from '../../src/kernel/native.js'

const calls = gateCalls()
const layout = calls.gateLayout
const buffers = () => [new Int32Array(4 * layout.recordWords), Buffer.alloc(1024)] as const
const errno = (expected: number) => (error: unknown) =>
  error instanceof Error && 'errno' in error && error.errno === expected

const EBADF = 9
const EPERM = 1
const EINVAL = 22

describe('the native gate', () => {
  it('exports a layout in which no two fields overlap and the flow key fits', () => {
    const { event, fd, tag, offset, length, flags, queued, flowBytes, recordWords } = layout
    const words = [event, fd, tag, offset, length, flags, queued]
    assert.equal(new Set(words).size, words.length)
    assert.ok(Math.max(...words) * 4 + 4 <= flowBytes)
    assert.ok(flowBytes + 36 <= recordWords * 4)
    assert.equal(new Set([layout.accepted, layout.readable, layout.acceptFailed]).size, 3)
    assert.equal(layout.halfClosed & layout.hungUp, 0)
  })

  it('refuses buffers that are too small', () => {
    const [records, bytes] = buffers()
    const open = (a: Int32Array, b: Buffer, peek: number) => () => calls.gateOpen(a, b, peek, () => {})
    assert.throws(open(records, bytes, 1025), errno(EINVAL))
    assert.throws(open(records, bytes, 0), errno(EINVAL))
    assert.throws(open(new Int32Array(layout.recordWords - 1), bytes, 100), errno(EINVAL))
  })

  it('says what the kernel said, and EBADF once it is closed', () => {
    const gate = calls.gateOpen(...buffers(), 1024, () => {})
    const file = openSync('/dev/null', 'r')
    assert.throws(() => calls.gateAdd(gate, file, 1), errno(EPERM))
    closeSync(file)
    assert.throws(() => calls.gateAdd(gate, 999_999, 1), errno(EBADF))
    assert.equal(calls.gateRemove(gate, 999_999), false)
    assert.throws(() => calls.gateWiden(999_999, 1000), errno(EBADF))
    assert.throws(() => calls.gateListen(gate, 'nonsense', 80, 1, 0), errno(EINVAL))
    calls.gateClose(gate)
    assert.throws(() => calls.gateClose(gate), errno(EBADF))
    assert.throws(() => calls.gateAdd(gate, 0, 1), errno(EBADF))
  })

  it('ends with the worker that opened it', async () => {
    const source = `
      const calls = require(require('node:path').join(${JSON.stringify(packageRoot)}, 'build/Release/baton.node'))
      const records = new Int32Array(4 * calls.gateLayout.recordWords)
      const gate = calls.gateOpen(records, Buffer.alloc(1024), 1024, () => {})
      require('node:worker_threads').parentPort.postMessage(typeof gate)
      process.exit(0)
    `
    for (let round = 0; round < 3; round++) {
      const worker = new Worker(source, { eval: true })
      let message: unknown
      worker.once('message', (value) => {
        message = value
      })
      const code = await new Promise((resolve, reject) => worker.once('exit', resolve).once('error', reject))
      assert.deepEqual([message, code], ['object', 0])
    }
  })
})
