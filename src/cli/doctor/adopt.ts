import { adoptObstacle } from '../../backend-agent/index.js'
import type { AgentFacts } from './facts.js'
import { Area, type Finding } from './finding.js'

/** Whether the kernel can put connections into the application's own accept queue, where that is configured. */
export function checkAdopt({ deliver }: AgentFacts): Finding[] {
  if (deliver.kind !== 'adopt') return []
  const area = new Area('kernel')
  const obstacle = adoptObstacle()
  if (obstacle === undefined) area.ok('adopt', 'the kernel adopts connections into a listening socket')
  else if (deliver.fallback === undefined) {
    const fix =
      'Take Linux 6.8 or newer with BTF and cgroup v2, or set deliver.fallback, or another deliver.kind.'
    area.fail('adopt', obstacle, fix)
  } else {
    const fix = `deliver.fallback (${deliver.fallback.kind}) serves; adopt takes Linux 6.8 or newer with BTF and cgroup v2.`
    area.warn('adopt', obstacle, fix)
  }
  return area.findings
}
