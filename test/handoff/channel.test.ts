import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { closed, hello } from './fixtures.js'
import { dial, frontendHello, makeCertificates, startAgent, until } from './pair.js'

const certificates = makeCertificates()
after(() => certificates.remove())

for (const [kind, agentAuth, frontendAuth] of [
  ['a shared token', undefined, undefined],
  ['mutual TLS', certificates.agent, certificates.frontend],
] as const) {
  test(`frontend and agent meet by ${kind}, and each learns the other’s HELLO`, async () => {
    const agent = await startAgent({ ...(agentAuth && { auth: agentAuth }) })
    const frontend = dial(agent.port, { ...(frontendAuth && { auth: frontendAuth }) })
    await until('both ends', () => frontend.ups.length === 1 && agent.channels.length === 1)
    assert.deepEqual(frontend.ups[0]?.peer, hello)
    assert.deepEqual(agent.channels[0]?.peer, frontendHello)
    assert.equal(frontend.ups[0]?.version, 1)
    agent.channels[0]?.send(closed)
    await until('CLOSED', () => frontend.messages.length === 1)
    assert.deepEqual(frontend.messages, [closed])
    await until(
      'a round trip',
      () => frontend.ups[0]?.rttMs !== undefined && agent.channels[0]?.rttMs !== undefined,
    )
    await frontend.link.close()
    assert.equal(frontend.link.state, 'closed')
    await agent.stop()
    assert.equal(agent.channels[0]?.state, 'closed')
  })
}
