/**
 * Baton as a library: an agent inside a Node program whose server it makes reachable, and a frontend inside a program
 * of one's own. Both take the settings of their YAML files; see docs/library.md and examples/.
 */
export {
  type AdoptedConnection,
  Agent,
  type AgentEvents,
  type AgentOptions,
  type AgentState,
  type AgentStatus,
  type ClosedConnection,
  createAgent,
} from './backend-agent/index.js'
export { BatonError, type ErrorCode, errorRegistry, isBatonError } from './errors/index.js'
export {
  type BackendOptions,
  type BackendStatus,
  type CustomProtocol,
  createFrontend,
  Frontend,
  type FrontendEvents,
  type FrontendOptions,
  type FrontendState,
  type FrontendStatus,
  type ListenerOptions,
  type PoolOptions,
  type RouteOptions,
} from './frontend/index.js'
export type { ReadCustomHead, ReadHead } from './gate/index.js'
export type { AccessRecord, ClientFields } from './telemetry/index.js'
