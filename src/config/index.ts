export { type ControlAuth, loadControlAuth } from './control-auth.js'
export { type Endpoint, formatEndpoint, isEndpoint, readEndpoint } from './endpoint.js'
export {
  checkFile,
  type FileReport,
  loadAgentConfig,
  loadFrontendConfig,
  parseAgentConfig,
  parseFrontendConfig,
  readAgentOptions,
  readFrontendOptions,
} from './load.js'
export {
  type Checked,
  type ConfigKind,
  checkAgentText,
  checkFrontendText,
  detectKind,
  type ParseOptions,
} from './parse.js'
export { formatProblem, type Problem } from './problems.js'
export { type RedisTarget, readRedisUrl } from './redis-url.js'
export {
  alpnMistake,
  type HostPattern,
  type Protocol,
  pathMistake,
  type RouteMatch,
  readHostPattern,
  readKeyPattern,
  readSniPattern,
  routeProtocol,
  underPrefix,
} from './route-pattern.js'
export type {
  AgentConfig,
  BackendConfig,
  ControlConfig,
  DeliverConfig,
  FrontendConfig,
  ListenerConfig,
  PoolConfig,
  RegistryConfig,
  RouteConfig,
  SteeringConfig,
} from './types.js'
export { version } from './version.js'
