import type { Server } from 'node:http'
import { type WebSocket, WebSocketServer } from 'ws'

/** Where the demo's chat is, by the demo's routes. */
export const CHAT_HOST = 'chat.video.example'
export const CHAT_PATH = '/v/chat'

/** No longer line is passed on. */
const MAX_LINE_BYTES = 4096

/** A chat room at every path that ends in /chat, one for the server: what one says, all hear. */
export function serveChat(server: Server): void {
  const room = new WebSocketServer({ noServer: true, maxPayload: MAX_LINE_BYTES })
  const present = new Set<WebSocket>()
  server.on('upgrade', (request, socket, head) => {
    if (!/\/chat$/.test(request.url ?? '')) {
      socket.end('HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n')
      return
    }
    room.handleUpgrade(request, socket, head, (one) => {
      present.add(one)
      one.on('close', () => present.delete(one))
      one.on('error', () => one.terminate())
      one.on('message', (line) => {
        for (const each of present) each.send(String(line))
      })
    })
  })
}
