// A program for the client's host: GETs one after the other, each on a new connection, by every way in turn.
//   first-byte-client.js COUNT PAUSE_MS ADDRESS,PORT,PATH …
// Prints one JSON line: for each way the microseconds from connect() to the first byte, in order.
import { once } from 'node:events'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

const [count = '', pause = '', ...ways] = process.argv.slice(2)
const pauseMs = Number(pause)
const WARM_UP = 30

interface Way {
  readonly host: string
  readonly port: number
  readonly request: string
}

function parse(text: string): Way {
  const [host = '', port = '', path = ''] = text.split(',')
  const request = `GET ${path} HTTP/1.1\r\nHost: www.example\r\nUser-Agent: bench\r\nAccept: */*\r\nConnection: close\r\n\r\n`
  return { host, port: Number(port), request }
}

/** Microseconds to the first byte. @throws Error unless the whole answer is a 200 */
async function get({ host, port, request }: Way): Promise<number> {
  const startedAtMs = performance.now()
  let firstAtMs = 0
  let bytes = 0
  let status = ''
  const socket = connect({ host, port, noDelay: true })
  socket.write(request)
  socket.on('data', (chunk: Buffer) => {
    if (firstAtMs === 0) {
      firstAtMs = performance.now()
      status = chunk.toString('latin1', 0, 12)
    }
    bytes += chunk.length
  })
  await once(socket, 'close')
  if (status !== 'HTTP/1.1 200' || bytes < 1024)
    throw new Error(`${host}:${port} answered ${status}, ${bytes} bytes`)
  return (firstAtMs - startedAtMs) * 1000
}

const targets = ways.map(parse)
const times: number[][] = targets.map(() => [])
for (let turn = -WARM_UP; turn < Number(count); turn++) {
  for (const [index, target] of targets.entries()) {
    const us = await get(target)
    if (turn >= 0) times[index]!.push(us)
    if (pauseMs > 0) await sleep(pauseMs)
  }
}
process.stdout.write(`${JSON.stringify(times)}\n`)
