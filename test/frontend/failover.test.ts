import assert from 'node:assert/strict'
import { afterEach, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { BatonError } from '../../src/errors/index.js'
import { Failover, LOOKUP_LIMIT_MS } from '../../src/frontend/failover.js'
import {
  type LookupEvent,
  type LookupResult,
  type LookupState,
  stepLookup,
  verdict,
} from '../../src/frontend/failover-step.js'
import type { Channel, Claim, Message } from '../../src/handoff/index.js'
import { type FlowKey, flowId, flowKey } from '../../src/kernel/flow.js'
import type { FlowRecord } from '../../src/registry/index.js'

const key = flowKey({
  client: { address: '192.0.2.7', port: 40001 },
  vip: { address: '10.0.0.100', port: 80 },
})
const note: FlowRecord = { key, agentId: 'media-1', agentEpoch: 5, frontendId: 'front-1', handoffId: 77 }

/** Keeps what the steering would be told, and refuses a second answer for one question. */
class Told {
  readonly open = new Set<string>()
  readonly answers: string[] = []

  #answer(flow: FlowKey, what: string): void {
    assert.ok(this.open.delete(flowId(flow)), `${what} for a flow that is not in question`)
    this.answers.push(what)
  }
  steer(entries: readonly { key: FlowKey; id: number; nextHop: string }[]): void {
    for (const entry of entries) this.#answer(entry.key, `steer ${entry.id} to ${entry.nextHop}`)
  }
  unpark(keys: readonly FlowKey[]): void {
    for (const flow of keys) this.#answer(flow, 'unpark')
  }
  drop(keys: readonly FlowKey[]): void {
    for (const flow of keys) this.#answer(flow, 'drop')
  }
}

/** A frontend's surroundings that the test moves by hand. */
class Scene {
  readonly told = new Told()
  readonly results: LookupResult[] = []
  readonly claims: Claim[] = []
  connected = true
  /** What the registry says, one after the other; the last one again and again. */
  notes: (FlowRecord | undefined | BatonError)[] = [note]
  finds = 0
  readonly agent: {
    channel: Pick<Channel, 'send'> | undefined
    knowsOf(epoch: number): boolean
    nextHop(): string | null
  } = {
    channel: undefined,
    knowsOf: () => false,
    nextHop: () => '10.0.0.11',
  }
  readonly failover = new Failover({
    steering: this.told,
    logger: { info() {}, debug() {}, error() {} },
    connected: () => this.connected,
    backend: (id) => (id === 'media-1' ? this.agent : undefined),
    onResult: (result) => this.results.push(result),
    findFlow: async () => {
      this.finds++
      const found = this.notes.length > 1 ? this.notes.shift() : this.notes[0]
      if (found instanceof BatonError) throw found
      return found
    },
  })

  up(epoch: number): void {
    const send = (message: Message) => {
      assert.ok(message.type === 'claim')
      this.claims.push(message)
      return true
    }
    this.agent.knowsOf = (taken) => taken === epoch
    this.agent.channel = { send }
    this.failover.channelUp('media-1')
  }

  down(): void {
    this.agent.channel = undefined
    this.failover.channelDown('media-1')
  }

  async ask(): Promise<void> {
    this.told.open.add(flowId(key))
    this.failover.ask(key)
    await sleep(0)
  }

  answer(answer: 'yours' | 'later' | 'none', id = 77): void {
    this.failover.claimed('media-1', { type: 'claimed', id, flow: key, answer })
  }

  async until(what: string, holds: () => boolean): Promise<void> {
    for (let round = 0; round < 400 && !holds(); round++) await sleep(20)
    assert.ok(holds(), what)
  }
}

describe('a flow that nobody knows here', () => {
  const scenes: Scene[] = []
  const scene = (epoch?: number) => {
    const made = new Scene()
    if (epoch !== undefined) made.up(epoch)
    scenes.push(made)
    return made
  }
  afterEach(() => {
    for (const { failover } of scenes.splice(0)) failover.close()
  })

  test('that an agent serves is steered to it by the id of its handoff, and not before it said so', async () => {
    const stage = scene(5)
    await stage.ask()
    assert.deepEqual(stage.claims, [{ type: 'claim', id: 77, flow: key }])
    assert.deepEqual(stage.told.answers, [])
    assert.equal(stage.failover.waiting, 1)
    stage.answer('yours')
    assert.deepEqual(stage.told.answers, ['steer 77 to 10.0.0.11'])
    assert.deepEqual(stage.results, ['steered'])
    assert.equal(stage.failover.waiting, 0)
  })

  test('is asked about once, however many packets come', async () => {
    const stage = scene(5)
    await stage.ask()
    await stage.ask()
    assert.equal(stage.finds, 1)
    assert.equal(stage.claims.length, 1)
  })

  test('that nobody noted, looked up twice, goes to the local kernel', async () => {
    const stage = scene(5)
    stage.notes = [undefined, undefined]
    await stage.ask()
    assert.deepEqual(stage.told.answers, [])
    await stage.until('an end', () => stage.results.length === 1)
    assert.equal(stage.finds, 2)
    assert.deepEqual(stage.told.answers, ['unpark'])
    assert.deepEqual(stage.results, ['unknown'])
  })

  test('whose note was on its way to Redis is found when it is there', async () => {
    const stage = scene(5)
    stage.notes = [undefined, note]
    await stage.ask()
    assert.deepEqual(stage.claims, [])
    await stage.until('a claim', () => stage.claims.length === 1)
    stage.answer('yours')
    assert.deepEqual(stage.told.answers, ['steer 77 to 10.0.0.11'])
  })

  test('whose agent was restarted since is over', async () => {
    const stage = scene(6)
    await stage.ask()
    assert.deepEqual(stage.told.answers, ['unpark'])
    assert.deepEqual(stage.results, ['gone'])
    assert.deepEqual(stage.claims, [])
  })

  test('waits for an agent whose channel is not up yet', async () => {
    const stage = scene()
    await stage.ask()
    assert.deepEqual(stage.told.answers, [])
    stage.up(5)
    stage.answer('yours')
    assert.deepEqual(stage.results, ['steered'])
  })

  test('is claimed again on the next channel when one broke before the answer', async () => {
    const stage = scene(5)
    await stage.ask()
    stage.down()
    stage.answer('yours')
    assert.deepEqual(stage.told.answers, [])
    stage.up(5)
    assert.equal(stage.claims.length, 2)
    stage.answer('yours')
    assert.deepEqual(stage.results, ['steered'])
  })

  test('that the agent denies is looked up once more: a newer note counts', async () => {
    const stage = scene(5)
    stage.notes = [note, { ...note, handoffId: 78 }]
    await stage.ask()
    stage.answer('none')
    assert.deepEqual(stage.told.answers, [])
    await stage.until('a second claim', () => stage.claims.length === 2)
    stage.answer('yours', 77)
    assert.deepEqual(stage.told.answers, [])
    stage.answer('yours', 78)
    assert.deepEqual(stage.told.answers, ['steer 78 to 10.0.0.11'])
  })

  test('that the agent denies twice is over', async () => {
    const stage = scene(5)
    await stage.ask()
    stage.answer('none')
    await stage.until('a second claim', () => stage.claims.length === 2)
    stage.answer('none')
    assert.deepEqual(stage.told.answers, ['unpark'])
    assert.deepEqual(stage.results, ['gone'])
  })

  test('that is on its way elsewhere is asked about until it has arrived', async () => {
    const stage = scene(5)
    await stage.ask()
    for (const count of [2, 3]) {
      stage.answer('later')
      await stage.until('another claim', () => stage.claims.length === count)
    }
    stage.answer('yours')
    assert.deepEqual(stage.results, ['steered'])
  })

  test('waits while Redis is away, and is looked up when it is back', async () => {
    const stage = scene(5)
    stage.connected = false
    await stage.ask()
    assert.equal(stage.finds, 0)
    stage.notes = [new BatonError('BATON_REGISTRY_UNAVAILABLE'), note]
    stage.connected = true
    await stage.until('a claim', () => stage.claims.length === 1)
    assert.equal(stage.finds, 2)
    stage.answer('yours')
    assert.deepEqual(stage.results, ['steered'])
  })

  test('whose time is over is dropped where somebody may still have it, and asked about anew', async () => {
    const [silent, away, lost] = [scene(5), scene(5), scene()]
    away.connected = false
    const sinceMs = performance.now()
    await Promise.all([silent.ask(), away.ask(), lost.ask()])
    await silent.until('three results', () => [silent, away, lost].every(({ results }) => results.length > 0))
    assert.ok(performance.now() - sinceMs >= LOOKUP_LIMIT_MS)
    assert.deepEqual(silent.told.answers, ['drop'])
    assert.deepEqual(away.told.answers, ['drop'])
    assert.deepEqual(lost.told.answers, ['unpark'])
    assert.deepEqual(
      [silent, away, lost].map(({ results }) => results[0]),
      ['unanswered', 'unanswered', 'unreachable'],
    )
    silent.answer('yours')
    assert.deepEqual(silent.told.answers, ['drop'])
    await silent.ask()
    silent.answer('yours')
    assert.deepEqual(silent.results, ['unanswered', 'steered'])
  })

  test('is forgotten by close(), and an answer that comes later changes nothing', async () => {
    const stage = scene(5)
    stage.told.open.add(flowId(key))
    stage.failover.ask(key)
    stage.failover.close()
    await sleep(0)
    assert.deepEqual(stage.told.answers, [])
    assert.deepEqual(stage.claims, [])
  })
})

test('only a connection that is known to be over, or out of reach, is left to a RST', () => {
  const verdicts = (['steered', 'unknown', 'gone', 'unreachable', 'unanswered'] as const).map(verdict)
  assert.deepEqual(verdicts, ['steer', 'unpark', 'unpark', 'unpark', 'drop'])
})

test('every open state ends when its time is over, and what is settled stays so', () => {
  const open: LookupState[] = ['waiting', 'looking', 'reaching', 'claiming']
  const late = open.map((state) => stepLookup(state, 'late'))
  assert.deepEqual(late, ['unanswered', 'unanswered', 'unreachable', 'unanswered'])
  const events: LookupEvent[] = ['turn', 'up', 'away', 'yours', 'none', 'late']
  for (const state of ['steered', 'unknown', 'gone', 'unreachable', 'unanswered'] as const) {
    for (const event of events) assert.throws(() => stepLookup(state, event), /failover: .* while/)
  }
})
