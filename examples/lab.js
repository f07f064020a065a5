// All of the examples on one machine, each on a host of its own (network namespaces), and how to talk to them:
//   node examples/lab.js      as root, in a checkout after npm run build; Ctrl-C removes everything
import { fileURLToPath } from 'node:url'
import { Deployment } from '../dist/src/lab/index.js'

const here = (/** @type {string} */ name) => fileURLToPath(new URL(name, import.meta.url))
const agents = ['http', 'https', 'fastify', 'ws', 'sse', 'lines']

const lab = new Deployment({ prefix: 'btex', frontends: 1, backends: agents.length })
const { client, frontends, backends } = lab.net
const stop = () => lab.dispose().then(() => process.exit(0))
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, stop)

await client.run('openssl', [
  ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'],
  ...['-subj', '/CN=hello.example', '-addext', 'subjectAltName=DNS:hello.example'],
  ...['-keyout', lab.file('key.pem'), '-out', lab.file('cert.pem')],
])
const environment = {
  BATON_TOKEN_FILE: lab.file('token'),
  BATON_PIN_PATH: lab.pinPath('frontend'),
  CERT_FILE: lab.file('cert.pem'),
  KEY_FILE: lab.file('key.pem'),
}

/** @param {string} name @param {import('../dist/src/lab/index.js').Host} host */
async function start(name, host) {
  const env = Object.entries({ ...environment, BATON_ADDRESS: host.ipv4 })
  // By env(1), so that the deployment's own variables stay.
  const words = [...env.map(([key, value]) => `${key}=${value}`), process.execPath, here(`${name}.js`)]
  await lab.start(name, host, 'env', words).waitFor({ output: /^ready$/m })
}
await Promise.all(agents.map((name, index) => start(name, /** @type {never} */ (backends[index]))))
const frontend = /** @type {never} */ (frontends[0])
await start('frontend', frontend)
await lab.untilReady(frontend)

const from = `nsenter --net=${client.path}`
const commands = {
  http: `${from} curl -s http://10.0.0.100/any`,
  https: `${from} curl -s --cacert ${lab.file('cert.pem')} --resolve hello.example:443:10.0.0.100 https://hello.example/`,
  fastify: `${from} curl -s http://10.0.0.100/api/hello/world`,
  ws: `${from} ${process.execPath} ${here('chat-client.js')} ws://10.0.0.100/chat`,
  sse: `${from} curl -sN --max-time 2 http://10.0.0.100/events`,
  lines: `${from} bash -c 'exec 3<>/dev/tcp/10.0.0.100/7000; printf "USE mail\\nPUSH hello\\nPOP\\n" >&3; head -3 <&3'`,
}
for (const [name, command] of Object.entries(commands)) console.log(`${name.padEnd(9)}${command}`)
console.log(
  `ready: try them; kill -9 ${lab.process('frontend').pid} is the frontend's end, and nobody's else; Ctrl-C removes all`,
)
