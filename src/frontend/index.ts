export { createFrontend, Frontend } from './frontend.js'
export type { BackendStatus, FrontendStatus } from './status.js'
