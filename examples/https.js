// HTTPS by name: the frontend reads the name in the ClientHello and hands the connection over untouched, so the key never
// leaves this host and the client sees one handshake. CERT_FILE and KEY_FILE are PEM.
import { readFileSync } from 'node:fs'
import { createServer } from 'node:https'
import { createAgent } from 'baton'
import { run, settings } from './common.js'

const { CERT_FILE = 'cert.pem', KEY_FILE = 'key.pem' } = process.env
const secrets = { cert: readFileSync(CERT_FILE), key: readFileSync(KEY_FILE) }
const server = createServer(secrets, (request, response) => {
  response.end(`hello ${request.socket.remoteAddress} over TLS\n`)
})

await run(createAgent({ ...settings('https-1', 'https'), server }))
