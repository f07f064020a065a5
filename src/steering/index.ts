export { openSteering } from './open.js'
export type {
  FlowCounters,
  FlowEntry,
  FlowState,
  ParkEntry,
  ParkingLimits,
  SteerEntry,
  Steering,
  SteeringLogger,
  SteeringOptions,
  SteeringStats,
} from './types.js'
