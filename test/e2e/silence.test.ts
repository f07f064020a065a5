import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Deployment, type Loss } from '../../src/lab/index.js'
import { startApp, statusOf } from './support.js'

let baton: Deployment
const agent = () => baton.net.backends[0]!

before(async () => {
  baton = new Deployment({ prefix: 'btsil', frontends: 1, backends: 1 })
  await startApp(baton, agent(), 'web-1')
  await baton.startAgent(agent(), 'web-1', ['web'], {
    deliver: { kind: 'http', address: `${agent().ipv4}:8080` },
  })
  await baton.startFrontend(baton.net.frontends[0]!, 'front-1', {
    routes: [{ match: {}, pool: 'web' }],
    pools: { web: { backends: [{ id: 'web-1', agent: `${agent().ipv4}:7400` }] } },
  })
  await untilBoth(true)
})
after(() => baton?.dispose())

interface AgentChannels {
  readonly channels: readonly { readonly up: boolean; readonly rttMs: number | null }[]
}

/** Whether the frontend has a channel, and whether the agent has. */
async function ups(): Promise<{ readonly frontend: boolean; readonly agent: boolean }> {
  const { backends } = await statusOf(baton)
  const text = await agent().run('curl', ['-sSf', '--max-time', '5', 'http://127.0.0.1:9901/v1/status'])
  const { channels } = JSON.parse(text) as AgentChannels
  return { frontend: backends[0]?.state === 'up', agent: channels.some(({ up }) => up) }
}

async function untilBoth(up: boolean): Promise<void> {
  let now = await ups()
  for (let round = 0; round < 200 && (now.frontend !== up || now.agent !== up); round++) {
    await sleep(50)
    now = await ups()
  }
  assert.deepEqual(now, { frontend: up, agent: up })
}

const failures: readonly (readonly [name: string, loss: Loss, silent: 'front-1' | 'web-1' | 'both'])[] = [
  ['nothing comes through either way', { toFar: 1, toNear: 1 }, 'both'],
  ['nothing comes from the agent', { toFar: 1, toNear: 0 }, 'front-1'],
  ['nothing comes from the frontend', { toFar: 0, toNear: 1 }, 'web-1'],
]
for (const [name, loss, deaf] of failures) {
  test(`${name}, and neither is told: both find the channel dead, and meet again when the network is back`, async () => {
    const link = baton.net.link(agent())
    const seen = {
      agent: baton.process('web-1').output.length,
      front: baton.process('front-1').output.length,
    }
    link.lose(loss)
    try {
      await untilBoth(false)
    } finally {
      link.restore()
    }
    const said = {
      agent: baton.process('web-1').output.slice(seen.agent),
      front: baton.process('front-1').output.slice(seen.front),
    }
    if (deaf !== 'front-1') assert.match(said.agent, /BATON_CHANNEL_TIMEOUT.*control channel lost/)
    if (deaf !== 'web-1') assert.match(said.front, /BATON_CHANNEL_TIMEOUT/)
    await untilBoth(true)
  })
}
