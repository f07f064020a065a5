import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { FileJournal, type Settlement } from '../../src/handoff/index.js'
import { offer as plain } from './fixtures.js'
import { until } from './pair.js'
import { startGiving, startTaking } from './stage.js'

const folder = mkdtempSync(join(tmpdir(), 'baton-successor-'))
after(() => rmSync(folder, { recursive: true }))
const moduleOf = (path: string) => JSON.stringify(new URL(path, import.meta.url).href)

/**
 * An agent in a process of its own: it commits odd offers and tells nobody, only begins even ones, and is then killed.
 * Its successor stands in this process, at the same port.
 */
async function killedAgent(journalPath: string | undefined): Promise<Map<number, Settlement>> {
  const script = `
    const { FileJournal } = await import(${moduleOf('../../src/handoff/index.js')})
    const { startTaking } = await import(${moduleOf('./stage.js')})
    const path = ${JSON.stringify(journalPath ?? null)}
    const agent = await startTaking({
      epoch: 1,
      ...(path && { journal: new FileJournal({ path, epoch: 1 }) }),
      onOffer(taker, taken) {
        taker.begin(taken)
        if (taken.offer.id % 2 === 1) taker.commit(taken)
        if (taken.offer.id === 10) process.stdout.write('all')
      },
    })
    process.stdout.write(String(agent.port))`
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let killed = false
  try {
    const [port] = (await once(child.stdout!, 'data')) as [Buffer]
    const frontend = await startGiving(Number(port.toString()), { unknownTimeoutMs: 5000 })
    for (let id = 1; id <= 10; id++) {
      assert.equal(
        frontend.giver.offer(frontend.link.channel, { ...plain, id, budgetMs: 60_000 }, 'tag'),
        undefined,
      )
    }
    await once(child.stdout!, 'data')
    child.kill('SIGKILL')
    killed = true
    await once(child, 'exit')
    const journal = journalPath === undefined ? undefined : new FileJournal({ path: journalPath, epoch: 2 })
    const successor = await startTaking({
      port: Number(port.toString()),
      epoch: 2,
      ...(journal && { journal }),
    })
    await until('all settlements', () => frontend.settled.size === 10)
    assert.deepEqual(successor.delivered, [])
    // What was asked about never comes to life again; what is new does.
    for (const id of [1, 2]) frontend.link.channel?.send({ ...plain, id, budgetMs: 1000 })
    frontend.giver.offer(frontend.link.channel, { ...plain, id: 11, budgetMs: 1000 }, 'tag')
    await until('a new offer', () => frontend.settled.get(11)?.kind === 'adopted')
    assert.deepEqual(successor.delivered, [11])
    frontend.link.destroy()
    await successor.stop()
    journal?.close()
    return frontend.settled
  } finally {
    if (!killed) child.kill('SIGKILL')
  }
}

test('an agent killed in mid-handoff: its successor’s journal says ended where it had committed, refused where not', async () => {
  const settled = await killedAgent(join(folder, 'journal'))
  for (let id = 1; id <= 10; id++)
    assert.equal(settled.get(id)?.kind, id % 2 === 1 ? 'ended' : 'refused', `${id}`)
})

test('without a journal the successor cannot know, and the connections are lost rather than owned twice', async () => {
  const settled = await killedAgent(undefined)
  for (let id = 1; id <= 10; id++) {
    assert.deepEqual(settled.get(id), { kind: 'lost', reason: 'The agent cannot know.' }, `${id}`)
  }
})
