export { configuredBackends } from './configured.js'
export { createRegistry, type RegistryOptions } from './create.js'
export {
  type Announcement,
  type BackendRecord,
  FLOW_GENERATION_MS,
  type FlowRecord,
  LEASE_MS,
  type Registry,
  type RegistryStatus,
} from './registry.js'
