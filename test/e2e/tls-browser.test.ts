import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { Deployment } from '../../src/lab/index.js'
import { type NginxLine, nginxTlsConfig } from './fixtures/nginx-tls.js'
import { statusOf } from './support.js'
import { counted, linesOf, makeCertificate } from './tls-support.js'

const program = fileURLToPath(new URL('./fixtures/tls-origin.js', import.meta.url))
const PIECES = 12
/** deploy/setup.sh installs it for the tests where it can be had. */
const missing = spawnSync('chromium', ['--version']).status === 0 ? false : 'no program chromium here'

let baton: Deployment
before(async () => {
  if (missing) return
  baton = new Deployment({ prefix: 'btbro', frontends: 1, backends: 2 })
  mkdirSync(baton.file('www'))
  await makeCertificate(baton, ['shop.example', 'static.example'])
  writePages()
  await Promise.all([startNginx(), startInline()])
  await startFrontend()
  for (let round = 0; round < 200; round++) {
    if ((await statusOf(baton)).backends.every(({ state }) => state === 'up')) return
    await sleep(50)
  }
  assert.fail('the agents are not up within 10 s')
})
after(() => baton?.dispose())

/** The page of shop.example: its own pieces, others of static.example, and what the browser says of each. */
function writePages(): void {
  const page = (name: string, text: string) => baton.write(join('www', name), Buffer.from(text))
  const numbers = Array.from({ length: PIECES }, (_, index) => index)
  const images = numbers.map((number) => `<img src="/piece.svg?${number}" onload="seen(this)">`)
  page(
    'piece.svg',
    '<svg xmlns="http://www.w3.org/2000/svg" width="40" height="40"><rect width="40" height="40" fill="teal"/></svg>',
  )
  page('style.css', 'h1 { color: rgb(1, 2, 3) }')
  page(
    'index.html',
    `<!doctype html><title>shop</title><link rel="icon" href="data:,"><link rel="stylesheet" href="/style.css"><h1>Baton</h1>
     <script>let images = 0; const seen = (image) => { if (image.naturalWidth === 40) images++ }</script>
     ${images.join('\n')}
     <pre></pre>
     <script>
       const get = async (number) => (await fetch('https://static.example/' + number)).json()
       onload = async () => {
         // The first alone: until the browser knows that the server speaks HTTP/2, it opens a connection for each.
         const first = await get(0)
         const answers = [first, ...(await Promise.all([${numbers.slice(1).join()}].map(get)))]
         const entries = [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]
         document.querySelector('pre').textContent = JSON.stringify({
           images,
           color: getComputedStyle(document.querySelector('h1')).color,
           clients: [...new Set(answers.map(({ client }) => client))],
           backends: [...new Set(answers.map(({ backend }) => backend))],
           protocols: entries.map(({ name, nextHopProtocol }) => [new URL(name).hostname, nextHopProtocol]),
         })
       }
     </script>`,
  )
}

async function startNginx(): Promise<void> {
  const host = baton.net.backends[0]!
  const config = nginxTlsConfig({
    name: 'shop-1',
    port: 8443,
    folder: baton.directory,
    root: baton.file('www'),
  })
  const file = baton.write('shop-1.conf', config)
  await baton.start('app-shop-1', host, 'nginx', ['-c', file]).waitFor({ port: 8443 })
  const deliver = { kind: 'adopt', address: '127.0.0.1:8443', session: 'connection' }
  await baton.startAgent(host, 'shop-1', ['shop'], { deliver })
}

async function startInline(): Promise<void> {
  const host = baton.net.backends[1]!
  const file = baton.writeSettings('static-1.json', baton.agentSettings(host, 'static-1', ['static']))
  const args = [program, '--tls', baton.directory, '--inline', file, '--http2']
  await baton.start('static-1', host, process.execPath, args).waitFor({ port: 7400 })
}

async function startFrontend(): Promise<void> {
  const [shop, fixed] = baton.net.backends.map((host) => `${host.ipv4}:7400`)
  await baton.startFrontend(baton.net.active, 'front-1', {
    listeners: [{ name: 'secure', address: `${baton.net.vip4}:443`, protocol: 'tls' }],
    routes: [
      { match: { sni: 'shop.example' }, pool: 'shop' },
      { match: { sni: 'static.example', alpn: 'h2' }, pool: 'static' },
    ],
    pools: {
      shop: { backends: [{ id: 'shop-1', agent: shop }] },
      static: { backends: [{ id: 'static-1', agent: fixed }] },
    },
  })
}

const flags = [
  ...['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-sync'],
  ...['--disable-background-networking', '--disable-component-update', '--ignore-certificate-errors'],
]

interface Page {
  readonly images: number
  readonly color: string
  readonly clients: readonly string[]
  readonly backends: readonly string[]
  /** Name and protocol of each request that the page made. */
  readonly protocols: readonly (readonly [string, string])[]
}

/** What Chromium, on the client's host, made of the page. */
async function browse(): Promise<Page> {
  const { net } = baton
  const { stdout, stderr } = await net.client.exec(
    'chromium',
    [
      ...[...flags, `--user-data-dir=${baton.file('profile')}`],
      ...[`--host-resolver-rules=MAP *.example ${net.vip4}`, '--virtual-time-budget=20000'],
      ...[`--screenshot=${baton.file('page.png')}`, '--dump-dom', 'https://shop.example/index.html'],
    ],
    { timeoutMs: 60_000, env: { HOME: baton.directory } },
  )
  const text = /<pre>(.+?)<\/pre>/.exec(stdout)?.[1]
  if (text === undefined) assert.fail(`the page is not whole: ${stdout}\n${stderr}`)
  return JSON.parse(text) as Page
}

test('Chromium loads a page from two names by HTTP/2, handed over to nginx and to Node', {
  skip: missing,
}, async () => {
  const seen = await counted(baton, browse)
  const { images, color, clients, backends, protocols } = seen.result
  assert.equal(images, PIECES)
  assert.equal(color, 'rgb(1, 2, 3)')
  assert.deepEqual(clients, [baton.net.client.ipv4])
  assert.deepEqual(backends, ['static-1'])
  const of = (name: string) => protocols.filter(([host]) => host === name).map(([, protocol]) => protocol)
  // The page, its style and its images.
  assert.deepEqual(of('shop.example'), Array(PIECES + 2).fill('h2'))
  assert.deepEqual(of('static.example'), Array(PIECES).fill('h2'))
  assert.deepEqual(seen.relays, {})
  assert.deepEqual(seen.rejected, {})
  // nginx sees one connection with all of it.
  const lines = await linesOf<NginxLine>(
    baton.file('shop-1.access.log'),
    'nginx notes the page',
    (all) => all.length >= PIECES + 2,
  )
  assert.deepEqual([...new Set(lines.map(({ connection }) => connection))], ['1'])
  assert.deepEqual([...new Set(lines.map(({ client }) => client))], [baton.net.client.ipv4])
  assert.ok(seen.adopted >= 2, `${seen.adopted} handoffs`)
  const picture = readFileSync(baton.file('page.png'))
  assert.equal(picture.subarray(1, 4).toString(), 'PNG')
})
