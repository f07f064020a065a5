// A plain HTTP server, reachable through Baton. It never listens: each client's own socket is given to it.
import { createServer } from 'node:http'
import { createAgent } from 'baton'
import { run, settings } from './common.js'

const server = createServer((request, response) => {
  // The client's address, not a balancer's: there is nobody in between any more.
  response.end(`hello ${request.socket.remoteAddress}, you asked for ${request.url}\n`)
})

const agent = createAgent({ ...settings('http-1', 'http'), server })
// What became of each connection, as the frontend's access log will have it.
agent.on('closed', ({ client, requests, bytesOut, cause }) => {
  console.log(`${client}: ${requests} requests, ${bytesOut} bytes, ended by ${cause}`)
})
await run(agent)
