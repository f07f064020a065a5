import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Host } from '../../../lab/index.js'
import type { NginxLine } from '../nginx.js'
import { sha256OfBody } from '../origin.js'
import { MIB, type Scene } from '../scene.js'
import { SECURE_BYTES, SECURE_FILE, SECURE_HOST } from '../secure.js'
import { expect, type Step } from '../step.js'

/** A connection of TLS goes to its host untouched, chosen by the name that its first message has in the clear. */
export function https(scene: Scene): Step {
  const { hosts, net, client } = scene
  const url = `https://${SECURE_HOST}`
  const curlArgs = ['--http2', '--cacert', hosts.file('cert.pem')]
  return {
    name: 'https',
    title: 'HTTPS with HTTP/2, routed by its server name: nginx terminates it on its own host, unmodified',
    async run() {
      const before = await scene.counts()
      const opened = opens(net.active)
      const bytes = crossing(net.active)
      const page = await client.curl(`${url}/`, [...curlArgs, '-w', '%{http_version}\n'])
      const httpVersion = page.trimEnd().split('\n').at(-1) ?? ''
      expect(httpVersion === '2', 'curl and nginx agree on HTTP/2', page)
      const film = await client.download(`${url}/${SECURE_FILE}`, curlArgs)
      expect(film.sha256 === sha256OfBody(SECURE_BYTES), 'the sha256 is right', film.sha256)
      const connectionsByFrontend = opens(net.active) - opened
      expect(
        connectionsByFrontend === 0,
        'the only handshakes are those of curl with nginx',
        connectionsByFrontend,
      )
      const bytesAcrossFrontend = crossing(net.active) - bytes
      expect(bytesAcrossFrontend < SECURE_BYTES / 5, 'little crossed the frontend', bytesAcrossFrontend)
      const handedOver = (await scene.counts()).adopted - before.adopted
      expect(handedOver === 2, 'both connections were handed over', handedOver)
      const noted = await lastLine(hosts.file('nginx.access.log'))
      expect(noted.client === net.client.ipv4, "nginx notes the client's own address", noted)
      const nobody = await client.attempt('https://nobody.example/')
      expect(/unrecognized name/.test(nobody.stderr), 'an unknown name gets unrecognized_name', nobody.stderr)
      return {
        httpVersion,
        tls: noted.tls,
        delivery: await hosts.deliveryOf(hosts.secureHost),
        handedOver,
        connectionsByFrontend,
        clientInNginxLog: noted.client,
        mibPerSecond: Math.round(SECURE_BYTES / MIB / film.seconds),
        bytesAcrossFrontend,
      }
    },
  }
}

/** Connections that the host has opened. */
const opens = (host: Host) => host.snmp()['Tcp.ActiveOpens'] ?? 0

function crossing(host: Host): number {
  const { rxBytes, txBytes } = host.counters('eth0')
  return rxBytes + txBytes
}

/** nginx writes a line when the answer is out, perhaps after the client has gone. */
async function lastLine(file: string): Promise<NginxLine> {
  const deadlineMs = performance.now() + 2000
  for (;;) {
    const line = readFileSync(file, 'utf8').trimEnd().split('\n').at(-1) ?? ''
    if (line.includes(SECURE_FILE)) return JSON.parse(line) as NginxLine
    expect(performance.now() < deadlineMs, 'nginx notes the download', line)
    await sleep(10)
  }
}
