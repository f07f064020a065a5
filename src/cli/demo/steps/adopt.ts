import { changed, retransmissions } from '../../../lab/index.js'
import { FILM_FILE, FILM_HOST, FILM_PORT, filmBytes, filmPath } from '../film.js'
import { MIB, type Scene } from '../scene.js'
import { expect, type Step } from '../step.js'

/** A server that knows nothing of Baton answers the client from its own host, and nobody of Baton is in the path. */
export function adopt(scene: Scene): Step {
  const { hosts, net, client } = scene
  const bytes = filmBytes(hosts)
  const url = `http://${FILM_HOST}/${FILM_FILE}`
  return {
    name: 'adopt',
    title: `nginx, unmodified, serves ${bytes / MIB} MiB to curl from its own host; neither frontend nor agent is in the path`,
    async run() {
      const direct = await timed(scene, `http://${hosts.filmHost.ipv4}:${FILM_PORT}/${FILM_FILE}`)
      const before = await scene.counts()
      const frontend = net.active.counters('eth0')
      const agent = hosts.process('film-1')
      const cpuMs = agent.cpuMs
      const speed = await timed(scene, url, ['--connect-to', `::${net.vip4}:80`])
      const agentCpuMs = Math.round((agent.cpuMs - cpuMs) * 10) / 10
      const through = net.active.counters('eth0')
      const crossed = through.rxBytes - frontend.rxBytes + through.txBytes - frontend.txBytes
      expect(crossed < bytes / 20, 'under 5 % of its bytes crossed the frontend', crossed)
      const handedOver = (await scene.counts()).adopted - before.adopted
      expect(handedOver === 1, 'the connection was handed over', handedOver)
      const [got, file] = await Promise.all([
        client.download(url),
        hosts.filmHost.run('sha256sum', [filmPath(hosts)]),
      ])
      expect(got.sha256 === file.slice(0, 64), 'the sha256 is right', got.sha256)
      // At full speed a host overruns a queue of its own now and then, on the direct connection too: told here, and for
      // the last step this host begins anew.
      const now = hosts.filmHost.snmp()
      const again = retransmissions(changed(scene.atStart.get(hosts.filmHost) ?? now, now))
      scene.atStart.set(hosts.filmHost, now)
      return {
        delivery: await hosts.deliveryOf(hosts.filmHost),
        gbitPerSecond: speed,
        directGbitPerSecond: direct,
        bytesAcrossFrontend: crossed,
        agentCpuMs,
        segmentsSentAgain: again,
        sha256: got.sha256,
      }
    },
  }
}

/** Gbit/s of a download that is thrown away as it comes. */
async function timed({ net }: Scene, url: string, args: readonly string[] = []): Promise<number> {
  const words = ['-sS', '--fail', '--max-time', '50', '-o', '/dev/null', '-w', '%{speed_download}', ...args]
  const bytesPerSecond = Number(await net.client.run('curl', [...words, url], { timeoutMs: 55_000 }))
  return Math.round((bytesPerSecond * 8) / 1e7) / 100
}
