export { authHeaders, type ControlAuth, checkAuth, controlServerTls, MIN_TOKEN_BYTES } from './auth.js'
export {
  Channel,
  type ChannelOptions,
  type ChannelState,
  HIGH_WATER_BYTES,
  MAX_BACKLOG_BYTES,
} from './channel.js'
export { attachChannelServer, type ChannelServerOptions } from './channel-server.js'
export { ClosedQueue } from './closed-queue.js'
export { type AgentLink, type DialOptions, dialAgent } from './dial.js'
export { readSince, sinceFeature } from './features.js'
export { FrameDecoder } from './frame-decoder.js'
export { FrameWriter } from './frame-writer.js'
export { encodeMessage, frameRoom, putFrame } from './frames.js'
export { Giver, type GiverOptions } from './giver.js'
export {
  type GiverEffect,
  type GiverEvent,
  type GiverState,
  type GiverStep,
  giverEvents,
  giverStates,
  stepGiver,
} from './giver-step.js'
export { HandoffIds } from './handoff-id.js'
export {
  CHANNEL_PATH,
  frameKinds,
  MAX_CONTEXT_BYTES,
  MAX_NAME_BYTES,
  MAX_QUEUE_BYTES,
  MAX_ROUTES_BYTES,
  MAX_VERSION,
  MIN_VERSION,
  UPGRADE_TOKENS,
} from './limits.js'
export type * from './messages.js'
export { FileJournal, type OutcomeJournal, type OutcomeKey } from './outcome-journal.js'
export type { GiverCounters, LateAnswer, Settlement } from './settlement.js'
export { type Taken, Taker, type TakerOptions } from './taker.js'
export {
  stepTaker,
  type TakerEffect,
  type TakerEvent,
  type TakerState,
  type TakerStep,
  takerEvents,
  takerStates,
} from './taker-step.js'
