import { parseWhoAmI } from '../client.js'
import { type Scene, SHOP } from '../scene.js'
import { expect, type Step } from '../step.js'

/** Requests that follow on one connection go where they belong, each. */
export function twoPools(scene: Scene): Step {
  const { client } = scene
  return {
    name: 'two-pools',
    title: 'one kept-alive connection visits two pools and comes back',
    async run() {
      const before = await scene.counts()
      const urls = [`${SHOP}/media/1`, `${SHOP}/2`, `${SHOP}/3`, `${SHOP}/media/4`]
      const report = ['-w', '%{local_port} %{num_connects}\\n']
      const [last = '', ...earlier] = urls.toReversed()
      const lines = (await client.curl(last, [...report, ...earlier.reverse()])).trim().split('\n')
      const answers = lines.filter((_line, index) => index % 2 === 0).map(parseWhoAmI)
      const ports = lines.filter((_line, index) => index % 2 === 1).map((line) => line.split(' ')[0])
      expect(new Set(ports).size === 1, 'curl used one connection', lines)
      const visited = answers.map((answer) => answer.backend)
      const pools = visited.map((name) => name.replace(/-.*/, ''))
      expect(pools.join(' ') === 'media web web media', 'each request was answered by its own pool', visited)
      const moved = (await scene.counts()).returned - before.returned
      expect(moved === 2, 'the connection moved twice', moved)
      return { visited: visited.join(' → '), moves: moved, connections: 1 }
    },
  }
}
