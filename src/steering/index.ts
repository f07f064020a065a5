export { openSteering } from './open.js'
export type {
  EndedFlow,
  FlowCounters,
  FlowEntry,
  FlowState,
  IdleFlow,
  LingerVerdict,
  ParkEntry,
  ParkingLimits,
  SteerEntry,
  Steering,
  SteeringLogger,
  SteeringOptions,
  SteeringStats,
} from './types.js'
