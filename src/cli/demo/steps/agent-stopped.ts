import { parseWhoAmI } from '../client.js'
import { type Scene, SHOP } from '../scene.js'
import { expect, type Step } from '../step.js'

/** What cannot be handed over goes elsewhere, or is relayed. */
export function agentStopped(scene: Scene): Step {
  const { hosts, client } = scene
  return {
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
      const before = await scene.counts()
      const relayed = await askMany()
      const after = await scene.counts()
      expect(relayed.length === 10, 'all are answered by relaying', relayed.length)
      expect(after.relayed - before.relayed === 10, 'and counted', after)
      await Promise.all([hosts.startWebAgent(1), hosts.startWebAgent(2)])
      return { elsewhere: elsewhere.length, relayed: relayed.length }
    },
  }
}
