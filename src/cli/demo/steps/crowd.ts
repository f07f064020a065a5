import { parseWhoAmI } from '../client.js'
import { type Scene, SHOP } from '../scene.js'
import { expect, type Step } from '../step.js'

/** Many handoffs at once. */
export function crowd(scene: Scene): Step {
  const { client } = scene
  return {
    name: 'crowd',
    title: '500 connections at once',
    async run() {
      const before = await scene.counts()
      const half = 250
      const batch = async () => {
        const args = ['-Z', '--parallel-immediate', '--parallel-max', String(half)]
        return client.curl(`${SHOP}/media/[1-${half}]`, [...args, '-H', 'Connection: close'])
      }
      const lines = (await Promise.all([batch(), batch()])).join('').trim().split('\n')
      const right = lines.map(parseWhoAmI).filter((who) => who.backend === 'media-1').length
      const after = await scene.counts()
      expect(right === 2 * half, 'each got its answer', right)
      return {
        answers: right,
        handedOver: after.adopted - before.adopted,
        relayed: after.relayed - before.relayed,
      }
    },
  }
}
