export { cleanStale, listNamespaces } from './cleanup.js'
export { changed, type InterfaceCounters, retransmissions } from './counters.js'
export {
  adminPorts,
  batonArgs,
  controlPort,
  Deployment,
  nodeOptions,
  type Settings,
} from './deployment.js'
export type { ExecOptions, ExecResult } from './exec.js'
export { Host, type Sysctls } from './host.js'
export { Lab, type LabOptions, type LinkEndPlan, type LinkPlan } from './lab.js'
export { Link, type LinkEnd, type Loss } from './link.js'
export { ownerPid } from './names.js'
export { type Exit, LabProcess, type Readiness, type SpawnOptions } from './process.js'
export type { SocketRow } from './sockets.js'
export {
  type StandardTopology,
  standardAddresses,
  standardTopology,
  type TopologyOptions,
} from './topology.js'
