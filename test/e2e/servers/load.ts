// A program for the client's host: GETs of one URL, each on a new connection, checked to the last byte.
//   load.js URL HOST REQUESTS AT_ONCE SHA256
// Says "asking" at the first answer, asks no more after SIGTERM, and ends with a JSON line:
//   {"right": 200, "wrong": {"ECONNRESET": 1}}
import { createHash } from 'node:crypto'
import { get } from 'node:http'

const [url = '', host = '', requests = '', atOnce = '', sha256 = ''] = process.argv.slice(2)
/** The longest silence of a connection. */
const PATIENCE_MS = 20_000
let left = Number(requests)
let answered = false
let right = 0
const wrong: Record<string, number> = {}

process.once('SIGTERM', () => {
  left = 0
})

/** What came, if it was not the whole right answer. */
function ask(): Promise<string | undefined> {
  return new Promise((resolve) => {
    const request = get(url, { agent: false, headers: { host }, timeout: PATIENCE_MS }, (response) => {
      const digest = createHash('sha256')
      response.on('data', (piece: Buffer) => digest.update(piece))
      response.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
      response.on('end', () => {
        if (response.statusCode !== 200) resolve(`status ${response.statusCode}`)
        else resolve(digest.digest('hex') === sha256 ? undefined : 'another body')
      })
    })
    request.on('timeout', () => request.destroy(new Error('no answer')))
    request.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
  })
}

async function client(): Promise<void> {
  while (left-- > 0) {
    const failure = await ask()
    if (!answered) process.stdout.write('asking\n')
    answered = true
    if (failure === undefined) right++
    else wrong[failure] = (wrong[failure] ?? 0) + 1
  }
}

await Promise.all(Array.from({ length: Number(atOnce) }, client))
process.stdout.write(`${JSON.stringify({ right, wrong })}\n`)
