export { createFrontend, frontendFromConfig } from './create.js'
export type { FrontendEvents } from './events.js'
export { Frontend } from './frontend.js'
export type {
  BackendOptions,
  FrontendOptions,
  ListenerOptions,
  PoolOptions,
  RouteOptions,
} from './options.js'
export type { CustomProtocol } from './protocol.js'
export type { BackendStatus, FrontendState, FrontendStatus } from './status.js'
