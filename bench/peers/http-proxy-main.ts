// Node's http-proxy as a program: http-proxy-main.js LISTEN-ADDRESS:PORT BACKEND-ADDRESS:PORT …
// By its README: one proxy server, `agent` with keep-alive to the backends, targets in turn as in its examples/balancer.
import { Agent, createServer } from 'node:http'
import httpProxy from 'http-proxy'
import { parseEndpoint } from '../../src/kernel/flow.js'

const [listen = '', ...backends] = process.argv.slice(2)
const endpoint = parseEndpoint(listen)
if (endpoint === undefined || backends.length === 0) throw new Error('give ADDRESS:PORT and backends')

const agent = new Agent({ keepAlive: true, maxFreeSockets: 1024 })
const proxy = httpProxy.createProxyServer({ agent })
let turn = 0
proxy.on('error', (_error, _request, response) => {
  // Where a client or a backend has gone in the middle: it gets to see that.
  if ('headersSent' in response && !response.headersSent) response.writeHead(502)
  response.end()
})
const server = createServer({ keepAliveTimeout: 3_600_000 }, (request, response) => {
  turn = (turn + 1) % backends.length
  proxy.web(request, response, { target: `http://${backends[turn]}` })
})
server.listen(endpoint.port, endpoint.address, 65_535)
