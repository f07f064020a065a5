// A WebSocket chat. Kill the frontend with -9 while people talk: nobody notices, since their connections are here.
import { createServer } from 'node:http'
import { createAgent } from 'baton'
import { WebSocketServer } from 'ws'
import { run, settings } from './common.js'

const server = createServer((_request, response) => {
  response.writeHead(426).end('this is a WebSocket server\n')
})
const chat = new WebSocketServer({ server, maxPayload: 64 * 1024 })
chat.on('connection', (member) => {
  member.on('message', (bytes) => {
    for (const other of chat.clients) if (other.readyState === other.OPEN) other.send(bytes.toString())
  })
  member.on('error', (error) => console.log(`a member is gone: ${error.message}`))
})

await run(createAgent({ ...settings('chat-1', 'chat'), server }))
