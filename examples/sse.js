// Server-sent events: a number ten times a second, for as long as the client stays.
import { createServer } from 'node:http'
import { createAgent } from 'baton'
import { run, settings } from './common.js'

const server = createServer((request, response) => {
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' })
  // A client that comes back says where it was.
  let number = Number(request.headers['last-event-id'] ?? 0)
  const timer = setInterval(() => {
    number++
    response.write(`id: ${number}\ndata: ${number}\n\n`)
  }, 100)
  response.once('close', () => clearInterval(timer))
})

await run(createAgent({ ...settings('events-1', 'events'), server }))
