// A client for ws.js: says what it reads line by line, and shows what comes.
import { createInterface } from 'node:readline'
import { WebSocket } from 'ws'

const socket = new WebSocket(process.argv[2] ?? 'ws://10.0.0.100/chat')
socket.on('open', () => {
  createInterface({ input: process.stdin })
    .on('line', (line) => socket.send(line))
    .on('close', () => setTimeout(() => socket.close(), 200))
})
socket.on('message', (text) => console.log(String(text)))
socket.on('close', () => process.exit(0))
socket.on('error', (error) => {
  console.error(error.message)
  process.exit(1)
})
