import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { type AgentOptions, createAgent } from '../../src/index.js'

const folder = mkdtempSync(join(tmpdir(), 'btopt'))
after(() => rmSync(folder, { recursive: true }))
const tokenFile = join(folder, 'token')
writeFileSync(tokenFile, 'a-token-for-tests-of-the-options-0123456789', { mode: 0o600 })

const good = {
  id: 'web-1',
  pools: ['web'],
  control: { address: '10.0.0.11:7400', tokenFile },
  vips: ['10.0.0.100'],
}
const server = createServer()

const refused = (wrong: object, message: RegExp) =>
  assert.throws(
    () => createAgent({ ...good, ...wrong } as AgentOptions),
    { code: 'BATON_CONFIG_INVALID', message },
    String(message),
  )

/** An agent that was made holds the process until it is closed. */
async function taken(more: object): Promise<void> {
  const agent = createAgent({ ...good, ...more } as AgentOptions)
  assert.equal(agent.state, 'new')
  await agent.destroy()
  assert.equal(agent.state, 'stopped')
}

test('createAgent() names the key of every mistake', async () => {
  await taken({ server })
  refused({}, /\ncreateAgent\(\) lacks "deliver"/)
  refused({ server, pool: 'web' }, /\ncreateAgent\(\) pool: unknown key; did you mean "pools"\?/)
  refused({ server, vips: [] }, /\ncreateAgent\(\) vips: has none/)
  refused({ server, capacity: '10' }, /capacity: is the text "10", expected a whole number/)
  refused({ server, control: { address: '10.0.0.11:7400' } }, /control: takes exactly one of tokenFile, tls/)
  refused({ server, pools: [], vips: ['x'] }, /pools: has none[\s\S]*vips\[0\]: "x"/)
  assert.throws(() => createAgent(undefined as never), { code: 'BATON_CONFIG_INVALID' })
})

test('createAgent() takes a server or deliver, and nothing that only looks like a server', async () => {
  refused({ server: { listen() {} } }, /server: expected a net\.Server; that of Fastify is app\.server/)
  const deliver = { kind: 'http', address: '127.0.0.1:8080' }
  refused({ server, deliver }, /deliver: stands beside server/)
  await taken({ deliver })
})

test('an agent that was never started may be closed, and is not started afterwards', async () => {
  const agent = createAgent({ ...good, server })
  const states: string[] = []
  agent.on('state', (state) => states.push(state))
  await agent.close()
  await agent.destroy()
  await assert.rejects(agent.start(), { code: 'BATON_AGENT_STATE' })
  assert.equal(states.at(-1), 'stopped')
})
