// A client of the demo's chat: `chat-main.js ADDRESS NAME` says each line of its input, and prints what others say.
import { createInterface } from 'node:readline'
import { WebSocket } from 'ws'
import { CHAT_HOST, CHAT_PATH } from './chat.js'

const [address = '', name = 'somebody'] = process.argv.slice(2)
const host = address.includes(':') ? `[${address}]` : address
const socket = new WebSocket(`ws://${host}${CHAT_PATH}`, { headers: { Host: CHAT_HOST } })
const input = createInterface({ input: process.stdin })

socket.on('open', () => {
  process.stdout.write(`* ${name} is in; Ctrl-D leaves\n`)
  input.on('line', (line) => socket.send(`${name}: ${line}`))
  input.on('close', () => socket.close(1000))
})
socket.on('message', (line) => void process.stdout.write(`${String(line)}\n`))
socket.on('close', (code) => {
  process.stdout.write(`* over (${code})\n`)
  input.close()
})
socket.on('error', (error) => {
  process.stderr.write(`* ${error.message}\n`)
  process.exitCode = 1
})
