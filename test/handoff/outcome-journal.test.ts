import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { isBatonError } from '../../src/errors/index.js'
import { FileJournal } from '../../src/handoff/index.js'
import { JOURNAL_HEADER_BYTES } from '../../src/handoff/journal-header.js'
import { RECORD_BYTES } from '../../src/handoff/outcome-journal.js'

const folder = mkdtempSync(join(tmpdir(), 'baton-journal-'))
after(() => rmSync(folder, { recursive: true }))
let files = 0
const fresh = () => join(folder, `${process.pid}-${files++}`)
const key = (id: number, peerId = 'f1', giverEpoch = 100) => ({ peerId, giverEpoch, id })

test('a successor reads what its predecessor noted, and what it struck out', () => {
  const path = fresh()
  const first = new FileJournal({ path, epoch: 1 })
  for (let id = 1; id <= 100; id++) first.record(key(id))
  first.strike(key(50))
  first.close()
  const second = new FileJournal({ path, epoch: 2 })
  assert.equal(second.torn, 0)
  assert.equal(second.has(key(1)), true)
  assert.equal(second.has(key(100)), true)
  assert.equal(second.has(key(50)), false)
  assert.equal(second.has(key(101)), false)
  assert.equal(second.has(key(1, 'f2')), false, 'another giver')
  assert.equal(second.has(key(1, 'f1', 101)), false, 'another process of that giver')
  assert.equal(second.has(key(1, 'f1', 0)), true, 'any process of that giver')
  assert.equal(second.covers(1, 0), true)
  assert.equal(second.covers(9, 0), false, 'a process that never wrote here')
  second.close()
})

test('numbers near 2^53 and one number from two givers are kept apart', () => {
  const path = fresh()
  const first = new FileJournal({ path, epoch: 2 ** 53 - 1 })
  first.record(key(2 ** 53 - 1))
  first.record(key(2 ** 53 - 1, 'f2'))
  first.close()
  const second = new FileJournal({ path, epoch: 5 })
  assert.equal(second.has(key(2 ** 53 - 1)), true)
  assert.equal(second.has(key(2 ** 53 - 1, 'f2')), true)
  assert.equal(second.has(key(2 ** 53 - 1, 'f3')), false)
  assert.equal(second.covers(2 ** 53 - 1, 1000), true)
  second.close()
})

test('a ring that went round forgets its oldest, and says that it cannot speak for that time', async () => {
  const path = fresh()
  const first = new FileJournal({ path, epoch: 1, slots: 8 })
  for (let id = 1; id <= 5; id++) first.record(key(id))
  await new Promise((resolve) => setTimeout(resolve, 60))
  for (let id = 6; id <= 11; id++) first.record(key(id))
  first.close()
  const second = new FileJournal({ path, epoch: 2, slots: 8 })
  for (let id = 1; id <= 3; id++) assert.equal(second.has(key(id)), false, `${id} was written over`)
  for (let id = 4; id <= 11; id++) assert.equal(second.has(key(id)), true, `${id} is there`)
  assert.equal(second.covers(1, 0), true, 'now')
  assert.equal(second.covers(1, 60_000), false, 'a minute ago')
  // It goes on where the ring was left: the oldest go first.
  second.record(key(12))
  assert.equal(second.has(key(4)), false)
  assert.equal(second.has(key(5)), true)
  second.close()
})

test('what was noted long ago is found, struck out and written over, before the first look and after it', () => {
  const journal = new FileJournal({ path: fresh(), epoch: 1, slots: 64 })
  const noted = (ids: readonly number[]) => ids.filter((id) => journal.has(key(id)))
  for (let id = 1; id <= 64; id++) journal.record(key(id))
  journal.strike(key(3))
  assert.deepEqual(noted([1, 2, 3, 40, 64, 65]), [1, 2, 40, 64])
  for (let id = 65; id <= 100; id++) journal.record(key(id))
  journal.strike(key(70))
  journal.strike(key(100))
  assert.deepEqual(noted([1, 2, 36, 37, 64, 69, 70, 71, 99, 100]), [37, 64, 69, 71, 99])
  journal.close()
})

test('a damaged record is found, counted, and takes the journal’s word for what is not in it', () => {
  const path = fresh()
  const first = new FileJournal({ path, epoch: 1 })
  for (let id = 1; id <= 3; id++) first.record(key(id))
  first.close()
  const fd = openSync(path, 'r+')
  writeSync(fd, Buffer.from([0x55]), 0, 1, JOURNAL_HEADER_BYTES + RECORD_BYTES + 20)
  closeSync(fd)
  const second = new FileJournal({ path, epoch: 2 })
  assert.equal(second.torn, 1)
  assert.equal(second.has(key(1)), true)
  assert.equal(second.has(key(2)), false)
  assert.equal(second.covers(1, 0), false)
  second.close()
})

test('a damaged header, or one of another size, begins a new journal', () => {
  const path = fresh()
  const first = new FileJournal({ path, epoch: 1 })
  first.record(key(1))
  first.close()
  const smaller = new FileJournal({ path, epoch: 2, slots: 16 })
  assert.equal(smaller.has(key(1)), false)
  assert.equal(smaller.covers(1, 0), false)
  smaller.record(key(2))
  smaller.close()
  const fd = openSync(path, 'r+')
  writeSync(fd, Buffer.from('XX'), 0, 2, 10)
  closeSync(fd)
  const third = new FileJournal({ path, epoch: 3, slots: 16 })
  assert.equal(third.has(key(2)), false)
  assert.equal(third.covers(2, 0), false)
  third.close()
})

test('a journal that a live process has open is refused, and keeps what is in it', () => {
  const path = fresh()
  const first = new FileJournal({ path, epoch: 1 })
  first.record(key(1))
  for (const slots of [65_536, 16]) {
    assert.throws(
      () => new FileJournal({ path, epoch: 2, slots }),
      (error) =>
        isBatonError(error, 'BATON_JOURNAL') && error.message.includes(`process ${process.pid} has it open`),
    )
  }
  first.record(key(2))
  first.close()
  const second = new FileJournal({ path, epoch: 2 })
  assert.ok(second.has(key(1)) && second.has(key(2)))
  second.close()
})

test('a path that cannot be written is said at once', () => {
  assert.throws(
    () => new FileJournal({ path: '/dev/null/journal', epoch: 1 }),
    (error) => isBatonError(error, 'BATON_JOURNAL'),
  )
})

test('what was noted before a kill -9 is there after it', async () => {
  const path = fresh()
  const script = `
    const { FileJournal } = await import(${JSON.stringify(new URL('../../src/handoff/index.js', import.meta.url).href)})
    const journal = new FileJournal({ path: ${JSON.stringify(path)}, epoch: 1 })
    for (let id = 1; id <= 5000; id++) journal.record({ peerId: 'f1', giverEpoch: 100, id })
    process.stdout.write('noted')
    setInterval(() => {}, 1000)`
  const child: ChildProcess = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  await once(child.stdout!, 'data')
  child.kill('SIGKILL')
  await once(child, 'exit')
  const successor = new FileJournal({ path, epoch: 2 })
  assert.equal(successor.torn, 0)
  for (let id = 1; id <= 5000; id++) assert.ok(successor.has(key(id)), `${id}`)
  assert.equal(successor.has(key(5001)), false)
  assert.equal(successor.covers(1, 10_000), true)
  successor.close()
})
