import { DOWNLOAD_BYTES, MIB, type Scene, VIDEO } from '../scene.js'
import { expect, type Step } from '../step.js'

/** A body that the frontend never sees. */
export function download(scene: Scene): Step {
  const { net, client } = scene
  return {
    name: 'download',
    title: `curl downloads ${DOWNLOAD_BYTES / MIB} MiB; its body never crosses the frontend`,
    async run() {
      const frontend = net.active.counters('eth0')
      const backend = net.backends[0]!.counters('eth0')
      const got = await client.download(`${VIDEO}/bytes/${DOWNLOAD_BYTES}`)
      const through = net.active.counters('eth0')
      const sent = net.backends[0]!.counters('eth0').txBytes - backend.txBytes
      const crossed = through.rxBytes - frontend.rxBytes + through.txBytes - frontend.txBytes
      expect(got.sha256 === scene.downloadSha256, 'the sha256 is right', got.sha256)
      expect(sent >= DOWNLOAD_BYTES, 'the backend sent the body from its own interface', sent)
      expect(crossed < DOWNLOAD_BYTES / 20, 'under 5 % of its bytes crossed the frontend', crossed)
      return {
        mibPerSecond: Math.round(DOWNLOAD_BYTES / MIB / got.seconds),
        bytesSentByBackend: sent,
        bytesAcrossFrontend: crossed,
      }
    },
  }
}
