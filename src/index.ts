export {
  Agent,
  type AgentOptions,
  type AgentState,
  type AgentStatus,
  createAgent,
} from './backend-agent/index.js'
export { BatonError, type ErrorCode, errorRegistry, isBatonError } from './errors/index.js'
