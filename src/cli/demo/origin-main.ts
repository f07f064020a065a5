// The demo's applications as programs:
//   origin-main.js --listen ADDRESS:PORT --name NAME      a plain HTTP server
//   origin-main.js --inline FILE                          the same server and a chat, as its own agent; FILE has createAgent's options
import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import type { AgentOptions } from '../../index.js'
import { parseEndpoint } from '../../kernel/flow.js'
import { serveChat } from './chat.js'
import { createOrigin } from './origin.js'

const { values } = parseArgs({
  options: { listen: { type: 'string' }, name: { type: 'string' }, inline: { type: 'string' } },
})

if (values.inline !== undefined) {
  const { createAgent } = await import('../../index.js')
  const options = JSON.parse(readFileSync(values.inline, 'utf8')) as AgentOptions
  const server = createOrigin(options.id)
  serveChat(server)
  const agent = createAgent({ ...options, server })
  process.once('SIGTERM', () => void agent.close().then(() => process.exit(0)))
  await agent.start()
} else {
  const endpoint = parseEndpoint(values.listen ?? '')
  if (endpoint === undefined) throw new Error('give --listen ADDRESS:PORT or --inline FILE')
  createOrigin(values.name ?? 'origin').listen(endpoint.port, endpoint.address)
}
