// A program for a backend's host: many agents in one process, each with an address, a control channel and a journal of its
// own, and one application for all. Its argument is FarmPlan as JSON.

import { createOrigin } from '../../src/cli/demo/origin.js'
import type { AgentOptions } from '../../src/index.js'
import { createAgent } from '../../src/index.js'

export interface FarmPlan {
  readonly agents: readonly Omit<AgentOptions, 'server'>[]
}

const plan = JSON.parse(process.argv[2] ?? '') as FarmPlan
const server = createOrigin('farm')
const agents = plan.agents.map((options) => createAgent({ ...options, server }))
process.once(
  'SIGTERM',
  () => void Promise.all(agents.map((agent) => agent.close())).then(() => process.exit(0)),
)
for (const agent of agents) await agent.start()
process.stdout.write(`${agents.length} agents are there\n`)
