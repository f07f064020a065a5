// The backend of line-protocol.js: queues in memory. After `USE queue` come PUSH text and POP, one line each.
import { createServer } from 'node:net'
import { createInterface } from 'node:readline'
import { createAgent } from 'baton'
import { run, settings } from './common.js'

/** @type {Map<string, string[]>} */
const queues = new Map()

const server = createServer((socket) => {
  /** @type {string[]} */
  let queue = []
  socket.on('error', (error) => console.log(`a client is gone: ${error.message}`))
  createInterface({ input: socket }).on('line', (line) => {
    const [verb = '', ...words] = line.split(' ')
    const text = words.join(' ')
    if (verb === 'USE') {
      queue = queues.get(text) ?? []
      queues.set(text, queue)
      socket.write(`OK ${text}\r\n`)
    } else if (verb === 'PUSH') {
      queue.push(text)
      socket.write(`OK ${queue.length}\r\n`)
    } else if (verb === 'POP') socket.write(`${queue.shift() ?? 'EMPTY'}\r\n`)
    else socket.write('ERR PUSH or POP\r\n')
  })
})

await run(createAgent({ ...settings('lines-1', 'queues'), server }))
