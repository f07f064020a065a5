import { createHash, randomBytes } from 'node:crypto'
import { existsSync, statSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { changed, retransmissions } from '../../lab/index.js'
import { Client, parseWhoAmI } from './client.js'
import type { DemoHosts } from './hosts.js'
import { sha256OfBody } from './origin.js'
import { expect, type Step } from './step.js'

const MIB = 1024 * 1024
const DOWNLOAD_BYTES = 100 * MIB
const UPLOAD_BYTES = 8 * MIB
/** So slow that the frontend can be killed in the middle. */
const SLOW = ['--limit-rate', '25M']

const VIDEO = 'http://cat.video.example/v'
const SHOP = 'http://shop.example'

/** The tour in order; each step leaves the hosts as the next one needs them. */
export function tour(hosts: DemoHosts): Step[] {
  const { net } = hosts
  const client = new Client(net.client, net.vip4)
  const client6 = new Client(net.client, net.vip6)
  const expected = sha256OfBody(DOWNLOAD_BYTES)
  const atStart = new Map(
    [net.client, ...net.frontends, ...net.backends].map((host) => [host, host.snmp()] as const),
  )

  return [
    {
      name: 'download',
      title: `curl downloads ${DOWNLOAD_BYTES / MIB} MiB; its body never crosses the frontend`,
      async run() {
        const frontend = net.active.counters('eth0')
        const backend = net.backends[0]!.counters('eth0')
        const got = await client.download(`${VIDEO}/bytes/${DOWNLOAD_BYTES}`)
        const through = net.active.counters('eth0')
        const sent = net.backends[0]!.counters('eth0').txBytes - backend.txBytes
        const crossed = through.rxBytes - frontend.rxBytes + through.txBytes - frontend.txBytes
        expect(got.sha256 === expected, 'the sha256 is right', got.sha256)
        expect(sent >= DOWNLOAD_BYTES, 'the backend sent the body from its own interface', sent)
        expect(crossed < DOWNLOAD_BYTES / 20, 'under 5 % of its bytes crossed the frontend', crossed)
        return {
          mibPerSecond: Math.round(DOWNLOAD_BYTES / MIB / got.seconds),
          bytesSentByBackend: sent,
          bytesAcrossFrontend: crossed,
        }
      },
    },
    {
      name: 'routes',
      title: 'the request decides: host and path choose the pool; the application sees the client itself',
      async run() {
        const video = await client.whoAmI(`${VIDEO}/film`)
        const byPath = await client.whoAmI(`${SHOP}/media/film`)
        const shop = await client.whoAmI(`${SHOP}/v/film`)
        expect(video.backend === 'media-1', '*.video.example/v/ goes to pool media', video)
        expect(byPath.backend === 'media-1', '/media/ goes to pool media', byPath)
        expect(shop.backend.startsWith('web-'), 'everything else goes to pool web', shop)
        expect(video.client.endsWith(net.client.ipv4), "the socket has the client's own address", video)
        expect(video.local.endsWith(net.vip4), 'and the VIP as its local one', video)
        return { media: video.backend, web: shop.backend, clientSeen: video.client }
      },
    },
    {
      name: 'two-pools',
      title: 'one kept-alive connection visits two pools and comes back',
      async run() {
        const before = await frontendStatus(hosts)
        const urls = [`${SHOP}/media/1`, `${SHOP}/2`, `${SHOP}/3`, `${SHOP}/media/4`]
        const report = ['-w', '%{local_port} %{num_connects}\\n']
        const [last = '', ...earlier] = urls.toReversed()
        const lines = (await client.curl(last, [...report, ...earlier.reverse()])).trim().split('\n')
        const answers = lines.filter((_line, index) => index % 2 === 0).map(parseWhoAmI)
        const ports = lines.filter((_line, index) => index % 2 === 1).map((line) => line.split(' ')[0])
        expect(new Set(ports).size === 1, 'curl used one connection', lines)
        const visited = answers.map((answer) => answer.backend)
        const pools = visited.map((name) => name.replace(/-.*/, ''))
        expect(
          pools.join(' ') === 'media web web media',
          'each request was answered by its own pool',
          visited,
        )
        const moved = (await frontendStatus(hosts)).returned - before.returned
        expect(moved === 2, 'the connection moved twice', moved)
        return { visited: visited.join(' → '), moves: moved, connections: 1 }
      },
    },
    {
      name: 'upload',
      title: `an upload of ${UPLOAD_BYTES / MIB} MiB is caught in mid-body by the handoff`,
      async run() {
        const body = randomBytes(UPLOAD_BYTES)
        const file = hosts.write('upload', body)
        const text = await client.curl(`${VIDEO}/upload`, ['-H', 'Expect:', '--data-binary', `@${file}`])
        const answer: unknown = JSON.parse(text)
        const sha256 = createHash('sha256').update(body).digest('hex')
        const right =
          typeof answer === 'object' && answer !== null && 'sha256' in answer && answer.sha256 === sha256
        expect(right, 'the application got every byte once', answer)
        return { bytes: UPLOAD_BYTES, sha256 }
      },
    },
    {
      name: 'ipv6',
      title: 'the same over IPv6',
      async run() {
        const who = await client6.whoAmI(`${VIDEO}/film`)
        expect(who.client === net.client.ipv6, "the application sees the client's IPv6 address", who)
        const got = await client6.download(`${VIDEO}/bytes/${DOWNLOAD_BYTES}`)
        expect(got.sha256 === expected, 'the sha256 is right', got.sha256)
        return { clientSeen: who.client, mibPerSecond: Math.round(DOWNLOAD_BYTES / MIB / got.seconds) }
      },
    },
    {
      name: 'crowd',
      title: '500 connections at once',
      async run() {
        const before = await frontendStatus(hosts)
        const half = 250
        const batch = async () => {
          const args = ['-Z', '--parallel-immediate', '--parallel-max', String(half)]
          return client.curl(`${SHOP}/media/[1-${half}]`, [...args, '-H', 'Connection: close'])
        }
        const lines = (await Promise.all([batch(), batch()])).join('').trim().split('\n')
        const right = lines.map(parseWhoAmI).filter((who) => who.backend === 'media-1').length
        const after = await frontendStatus(hosts)
        expect(right === 2 * half, 'each got its answer', right)
        return {
          answers: right,
          handedOver: after.adopted - before.adopted,
          relayed: after.relayed - before.relayed,
        }
      },
    },
    {
      name: 'frontend-killed',
      title: 'kill -9 of the frontend in mid-download: the download goes on',
      async run() {
        const running = client.download(`${VIDEO}/bytes/${DOWNLOAD_BYTES}`, SLOW)
        await sleep(1000)
        const name = `front-${net.frontends.indexOf(net.active) + 1}`
        const victim = hosts.process(name)
        expect(victim.kill('SIGKILL'), 'the frontend was running')
        await victim.exited
        const got = await running
        expect(got.sha256 === expected, 'the sha256 is right', got.sha256)
        const startedAtMs = performance.now()
        await hosts.startDemoFrontend(net.frontends.indexOf(net.active))
        const who = await client.whoAmI(`${VIDEO}/again`)
        expect(who.backend === 'media-1', 'the restarted frontend serves', who)
        return { sha256: got.sha256, restartMs: Math.round(performance.now() - startedAtMs) }
      },
    },
    {
      name: 'vip-moves',
      title:
        'the VIP moves to the other frontend in mid-download: it asks Redis and the agent, and steers on',
      async run() {
        const [home, other] = [net.active, net.frontends.find((frontend) => frontend !== net.active)!]
        const before = await frontendStatus(hosts, other)
        const running = client.download(`${VIDEO}/bytes/${DOWNLOAD_BYTES}`, SLOW)
        await sleep(1000)
        net.moveVip(other)
        const got = await running
        expect(got.sha256 === expected, 'the sha256 is right', got.sha256)
        const after = await frontendStatus(hosts, other)
        const takenOver = after.takenOver - before.takenOver
        expect(takenOver === 1, 'the other frontend took the connection over', takenOver)
        expect(after.adopted === before.adopted, 'and handed nothing over itself', after)
        const who = await client.whoAmI(`${VIDEO}/through-the-other`)
        expect(who.backend === 'media-1', 'new connections are served by it, too', who)
        net.moveVip(home)
        const back = await client.whoAmI(`${VIDEO}/through-the-first`)
        expect(back.backend === 'media-1', 'and by the first when the VIP is back', back)
        return { takenOver, sha256: got.sha256 }
      },
    },
    {
      name: 'agent-stopped',
      title: "backends' agents are stopped: their traffic goes elsewhere, then is relayed",
      async run() {
        const askMany = async () => {
          const lines = await client.curl(`${SHOP}/[1-10]`, ['-H', 'Connection: close'])
          return lines.trim().split('\n').map(parseWhoAmI)
        }
        await hosts.process('web-1').stop()
        const elsewhere = await askMany()
        expect(
          elsewhere.every((who) => who.backend === 'web-2'),
          'all go to the agent that is left',
          elsewhere.map((who) => who.backend),
        )
        await hosts.process('web-2').stop()
        const before = await frontendStatus(hosts)
        const relayed = await askMany()
        const after = await frontendStatus(hosts)
        expect(relayed.length === 10, 'all are answered by relaying', relayed.length)
        expect(after.relayed - before.relayed === 10, 'and counted', after)
        await Promise.all([hosts.startWebAgent(1), hosts.startWebAgent(2)])
        return { elsewhere: elsewhere.length, relayed: relayed.length }
      },
    },
    {
      name: 'nothing-lost',
      title: 'nobody saw a RST, and no segment was sent twice',
      async run() {
        const since = [...atStart].map(([host, before]) => changed(before, host.snmp()))
        const resets = since[0]?.['Tcp.EstabResets'] ?? 0
        const again = since.reduce((sum, counters) => sum + retransmissions(counters), 0)
        expect(resets === 0, "no connection of the client's was reset", resets)
        expect(again === 0, 'nothing was retransmitted', again)
        const log = hosts.file('front-1.access.log')
        return {
          resetsAtClient: resets,
          retransmissions: again,
          accessLogBytes: existsSync(log) ? statSync(log).size : 0,
        }
      },
    },
  ]
}

interface Counts {
  readonly adopted: number
  readonly returned: number
  readonly relayed: number
  /** Flows that another frontend had handed over. */
  readonly takenOver: number
}

/** A frontend's own counts; the active one's by default. */
async function frontendStatus(hosts: DemoHosts, frontend = hosts.net.active): Promise<Counts> {
  const status = (await hosts.status(frontend)) as {
    handoffs: { adopted: number; returned: number }
    failovers: { steered: number }
    relays: Record<string, number>
  }
  const relayed = Object.values(status.relays).reduce((sum, count) => sum + count, 0)
  const { adopted, returned } = status.handoffs
  return { adopted, returned, relayed, takenOver: status.failovers.steered }
}
