import { DOWNLOAD_BYTES, MIB, type Scene, VIDEO } from '../scene.js'
import { expect, type Step } from '../step.js'

/** The same, with the other addresses. */
export function ipv6(scene: Scene): Step {
  const { net, client6 } = scene
  return {
    name: 'ipv6',
    title: 'the same over IPv6',
    async run() {
      const who = await client6.whoAmI(`${VIDEO}/film`)
      expect(who.client === net.client.ipv6, "the application sees the client's IPv6 address", who)
      const got = await client6.download(`${VIDEO}/bytes/${DOWNLOAD_BYTES}`)
      expect(got.sha256 === scene.downloadSha256, 'the sha256 is right', got.sha256)
      return { clientSeen: who.client, mibPerSecond: Math.round(DOWNLOAD_BYTES / MIB / got.seconds) }
    },
  }
}
