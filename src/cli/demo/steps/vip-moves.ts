import { setTimeout as sleep } from 'node:timers/promises'
import { DOWNLOAD_BYTES, type Scene, SLOW, VIDEO } from '../scene.js'
import { expect, type Step } from '../step.js'

/** What was handed over outlives the host of the frontend, too. */
export function vipMoves(scene: Scene): Step {
  const { net, client } = scene
  return {
    name: 'vip-moves',
    title: 'the VIP moves to the other frontend in mid-download: it asks Redis and the agent, and steers on',
    async run() {
      const [home, other] = [net.active, net.frontends.find((frontend) => frontend !== net.active)!]
      const before = await scene.counts(other)
      const running = client.download(`${VIDEO}/bytes/${DOWNLOAD_BYTES}`, SLOW)
      await sleep(1000)
      net.moveVip(other)
      const got = await running
      expect(got.sha256 === scene.downloadSha256, 'the sha256 is right', got.sha256)
      const after = await scene.counts(other)
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
  }
}
