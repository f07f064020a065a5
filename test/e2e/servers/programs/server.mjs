// node:http: server.mjs ADDRESS PORT ROOT
import { createHash } from 'node:crypto'
import { createReadStream, statSync } from 'node:fs'
import { createServer } from 'node:http'
import { basename, join } from 'node:path'
import { pipeline } from 'node:stream'

const [address, port, root] = process.argv.slice(2)

const server = createServer((request, response) => {
  const { pathname } = new URL(request.url, 'http://localhost')
  if (pathname === '/who') response.end(`${request.socket.remoteAddress}\n`)
  else if (pathname === '/digest') sendDigest(request, response)
  else {
    const file = join(root, basename(pathname))
    response.setHeader('content-length', statSync(file).size)
    // A client that leaves ends the file's reading too.
    pipeline(createReadStream(file), response, () => undefined)
  }
})

function sendDigest(request, response) {
  const digest = createHash('sha256')
  request.on('data', (piece) => digest.update(piece))
  request.on('end', () => response.end(`${digest.digest('hex')}\n`))
}

server.listen(Number(port), address)
