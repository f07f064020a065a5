export { adoptObstacle } from './adopt-programs.js'
export { Agent, agentFromConfig, createAgent } from './agent.js'
export type { AgentOptions } from './options.js'
export type { AgentState, AgentStatus } from './status.js'
