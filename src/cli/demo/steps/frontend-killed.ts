import { setTimeout as sleep } from 'node:timers/promises'
import { DOWNLOAD_BYTES, type Scene, SLOW, VIDEO } from '../scene.js'
import { expect, type Step } from '../step.js'

/** What was handed over outlives the frontend. */
export function frontendKilled(scene: Scene): Step {
  const { hosts, net, client } = scene
  return {
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
      expect(got.sha256 === scene.downloadSha256, 'the sha256 is right', got.sha256)
      const startedAtMs = performance.now()
      await hosts.startDemoFrontend(net.frontends.indexOf(net.active))
      const who = await client.whoAmI(`${VIDEO}/again`)
      expect(who.backend === 'media-1', 'the restarted frontend serves', who)
      return { sha256: got.sha256, restartMs: Math.round(performance.now() - startedAtMs) }
    },
  }
}
