// Fastify: give its server, once the routes are there, in place of app.listen().
import { createAgent } from 'baton'
import Fastify from 'fastify'
import { run, settings } from './common.js'

const app = Fastify({ trustProxy: false })
app.get('/api/hello/:name', async (request) => {
  const { name } = /** @type {{ name: string }} */ (request.params)
  // request.ip is the client's without X-Forwarded-For or trustProxy.
  return { hello: name, from: request.ip }
})
await app.ready()

const agent = createAgent({ ...settings('fastify-1', 'fastify'), server: app.server })
agent.on('state', (state) => {
  if (state === 'stopped') void app.close()
})
await run(agent)
